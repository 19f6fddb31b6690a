// Moves of volumes and root disks on real domains, with what the disks hold compared to what was written: of guests that run and write
// meanwhile, of guests that are off, of volumes that nobody has.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DesiredMove } from '@virga/contract/agent/moves';
import type { DesiredPool } from '@virga/contract/agent/pools';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import type { VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import { runCommand } from '../../run-command.ts';
import { readPattern, writeInGuest, writeToFile } from '../testing/disk-patterns.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';

const mebibyte = 1024 * 1024;
const blocks = 6;

async function open(t: TestContext): Promise<TestHost> {
  const host = await openTestHost(96);
  t.after(() => host.close());
  return host;
}

/** @param sizeMib puts it on a file system of that size, which knows no direct I/O, as the storage of the host does */
async function aPool(host: TestHost, t: TestContext, sizeMib?: number): Promise<DesiredPool & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'virga-pool-'));
  await chmod(path, 0o711);
  if (sizeMib) await runCommand('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m,mode=711`, 'tmpfs', path]);
  t.after(async () => {
    if (sizeMib) await runCommand('umount', [path]);
    await rm(path, { recursive: true });
  });
  const place = { driver: 'directory', path } as const;
  return { id: newId('pool'), cloudId: host.cloudId, generation: 1, name: 'fast', mustExist: false, place, path };
}

const some = { mustExist: true, keepsake: {} };

const poolOf = ({ path: _, ...pool }: DesiredPool & { path: string }): DesiredPool => pool;

const aVolume = (host: TestHost, changes: Partial<DesiredVolume> = {}): DesiredVolume => ({
  id: newId('volume'),
  cloudId: host.cloudId,
  generation: 1,
  name: 'data',
  sizeBytes: 8 * mebibyte,
  mustExist: false,
  keepsake: {},
  ...changes,
});

/** A machine with an empty disk, and the volume. */
function machine(host: TestHost, { id }: DesiredVolume, changes: Partial<DesiredInstance> = {}): DesiredInstance {
  const volumes = [{ id, target: 'vdc', readOnly: false }];
  const base = host.instance(host.network(), newId('image'), { nics: [], volumes, ...changes });
  return { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes: 8 * mebibyte } };
}

const stopped = (desired: DesiredInstance, generation = desired.generation + 1): DesiredInstance => ({
  ...desired,
  generation,
  power: { state: 'stopped', forceAt: new Date(0).toISOString() },
});

/** @param pool undefined: the host's own storage */
function moveOf(
  volume: DesiredVolume,
  pool: DesiredPool | undefined,
  { holder, ...changes }: { holder?: DesiredInstance | undefined } & Partial<DesiredVolume> = {},
): DesiredMove {
  const { pool: _, ...rest } = volume;
  return {
    token: newId('operation'),
    volume: { ...rest, ...(pool && { pool }), generation: volume.generation + 1, mustExist: true, ...changes },
    holder: holder ? { id: holder.id, uuid: holder.uuid } : null,
  };
}

const identityOf = ({ token, volume: { id, cloudId } }: DesiredMove) => ({ token, volumeId: id, cloudId });

async function moved(host: TestHost, move: DesiredMove): Promise<DesiredVolume> {
  do await host.agent.copyVolume(move);
  while (!(await host.agent.switchVolume(move)));
  await host.agent.finishMove({ ...identityOf(move), wipe: 'zero' });
  return move.volume;
}

const device = ({ id }: DesiredVolume) => ({ device: `ua-${id}` });

async function fileOf(host: TestHost, { id, pool, format = 'qcow2' }: DesiredVolume): Promise<string> {
  const name = format === 'raw' ? 'disk.raw' : 'disk.qcow2';
  if (pool !== undefined && 'path' in pool.place) return join(pool.place.path, 'volumes', id, name);
  return join(host.storagePath, 'volumes', id, name);
}

const contentOf = async (host: TestHost, volume: DesiredVolume) => readPattern(await fileOf(host, volume), blocks);

/** Where the guest writes now, and what its definition says. */
async function sourcesOf({ outside: { domains } }: TestHost, { domainName }: DesiredInstance, { id }: DesiredVolume) {
  const ref = await domains.lookupByName(domainName);
  const of = (xml: string) =>
    xml.match(new RegExp(`file='([^']*/${id}/[^']*)'`, 'g'))?.map((found) => found.slice(6, -1));
  return { live: of(await domains.xml(ref)), defined: of(await domains.xml(ref, { inactive: true })) };
}

/** All that is there of any volume, in the storage and in the pools. */
async function foldersOf(host: TestHost, ...pools: { path: string }[]): Promise<string[]> {
  const homes = [host.storagePath, ...pools.map(({ path }) => path)].map((path) => join(path, 'volumes'));
  const names = await Promise.all(homes.map((home) => readdir(home)));
  const movedIn = await readdir(join(host.storagePath, 'volumes', '.moved-in')).catch(() => []);
  const moves = await readdir(join(host.storagePath, 'moves')).catch(() => []);
  return [...names.flat().filter((name) => name !== '.moved-in'), ...movedIn, ...moves];
}

test('a volume that nobody has goes from pool to pool and home again, and changes its format on the way', async (t) => {
  const host = await open(t);
  const [fast, slow] = [await aPool(host, t), await aPool(host, t)];
  let volume = aVolume(host);
  await host.agent.applyVolume(volume);
  await writeToFile(await fileOf(host, volume), [1, 2, 3, 4, 5, 6]);
  for (const [pool, format] of [
    [poolOf(fast), 'raw'],
    [poolOf(slow), 'qcow2'],
    [undefined, 'qcow2'],
    [poolOf(fast), 'raw'],
    [undefined, 'raw'],
  ] as const) {
    volume = await moved(host, moveOf(volume, pool, { format }));
    assert.deepEqual(await contentOf(host, volume), [1, 2, 3, 4, 5, 6]);
    const [seen, ...others] = await host.agent.listVolumes(host.cloudId);
    assert.deepEqual(
      [seen?.poolId, seen?.format, seen?.intact, seen?.generation],
      [pool?.id, format, true, volume.generation],
    );
    assert.deepEqual(others, []);
    assert.deepEqual(await host.agent.applyVolume(volume), seen);
  }
  await host.agent.deleteVolume(volume);
  assert.deepEqual(await foldersOf(host, fast, slow), []);
});

test('a guest that runs writes on while its volume is moved, and goes on from there when it is started again', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const [fast, slow] = [await aPool(host, t), await aPool(host, t)];
  let volume = aVolume(host);
  await agent.applyVolume(volume);
  const desired = machine(host, volume);
  await agent.applyInstance(desired);
  await writeInGuest(outside, desired.domainName, [1, 1, 1, 1, 1, 1], device(volume));
  let byte = 2;
  for (const [pool, format] of [
    [poolOf(fast), 'qcow2'],
    [poolOf(slow), 'raw'],
    [undefined, 'qcow2'],
  ] as const) {
    const move = moveOf(volume, pool, { holder: desired, format });
    await agent.copyVolume(move);
    // What it writes now goes to both.
    await writeInGuest(outside, desired.domainName, [byte], { ...device(volume), from: 1 });
    assert.equal(await agent.switchVolume(move), true);
    volume = move.volume;
    await writeInGuest(outside, desired.domainName, [byte], { ...device(volume), from: 2 });
    await agent.finishMove(identityOf(move));
    assert.deepEqual(await contentOf(host, volume), [1, byte, byte, 1, 1, 1]);
    const { live, defined } = await sourcesOf(host, desired, volume);
    assert.deepEqual(live, defined);
    // Nobody takes that for a change of somebody else.
    assert.equal((await agent.applyInstance(desired)).drift, undefined);
    assert.deepEqual(await agent.findDrifts(host.cloudId), []);
    byte++;
  }
  await agent.applyInstance(stopped(desired));
  const again = await agent.applyInstance({ ...desired, generation: 3 });
  assert.deepEqual([again.state, again.drift], ['running', undefined]);
  await writeInGuest(outside, desired.domainName, [9], device(volume));
  assert.deepEqual(await contentOf(host, volume), [9, 4, 4, 1, 1, 1]);
  await agent.applyInstance({ ...desired, generation: 4, volumes: [], power: stopped(desired).power });
  await agent.deleteVolume(volume);
  assert.deepEqual(await foldersOf(host, fast, slow), []);
});

test('the volume of a guest that is off is moved, and its definition with it', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const fast = await aPool(host, t);
  const volume = aVolume(host);
  await agent.applyVolume(volume);
  const desired = machine(host, volume);
  await agent.applyInstance(desired);
  await writeInGuest(outside, desired.domainName, [7, 7], device(volume));
  await agent.applyInstance(stopped(desired));
  const after = await moved(host, moveOf(volume, poolOf(fast), { holder: desired, format: 'raw' }));
  assert.deepEqual((await sourcesOf(host, desired, volume)).defined, [await fileOf(host, after)]);
  assert.deepEqual(await agent.findDrifts(host.cloudId), []);
  const on = await agent.applyInstance({ ...desired, generation: 3 });
  assert.deepEqual([on.state, on.drift], ['running', undefined]);
  await writeInGuest(outside, desired.domainName, [8], device(volume));
  assert.deepEqual((await contentOf(host, after)).slice(0, 3), [8, 7, 0]);
});

test('a root disk is moved while its guest writes, and snapshots, growth and virsh find it where it is then', async (t) => {
  const host = await open(t);
  const { agent, outside, storagePath } = host;
  const fast = await aPool(host, t);
  const base = host.instance(host.network(), newId('image'), { nics: [] });
  const desired = { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes: 8 * mebibyte } };
  await agent.applyInstance(desired);
  await writeInGuest(outside, desired.domainName, [1, 1, 1]);
  const { id, cloudId, rootDisk } = desired;
  const root: DesiredVolume = {
    id: rootDisk.id,
    cloudId,
    generation: 1,
    name: desired.name,
    sizeBytes: 8 * mebibyte,
    ...some,
  };
  const snapshot = (name: string) => ({
    ...{ id: newId('snapshot'), cloudId, name, instance: { id, uuid: desired.uuid, domainName: desired.domainName } },
    ...{ memory: false, ...some, mustExist: false },
  });
  const earlier = snapshot('earlier');
  await agent.applySnapshot(earlier);
  const there = { ...moveOf(root, poolOf(fast), { holder: desired }), isRoot: true as const };
  await assert.rejects(agent.copyVolume(there), (error: VirgaError) => error.code === 'Conflict');
  await agent.deleteSnapshot(earlier);
  await agent.copyVolume(there);
  await writeInGuest(outside, desired.domainName, [2], { from: 1 });
  await assert.rejects(agent.applySnapshot(snapshot('meanwhile')), /The root disk of/);
  assert.equal(await agent.switchVolume(there), true);
  await agent.finishMove(identityOf(there));
  await writeInGuest(outside, desired.domainName, [3], { from: 2 });
  const file = join(fast.path, 'root-disks', id, 'root.qcow2');
  const blocksOf = async (options: object) => {
    const xml = await outside.domains.xml(await outside.domains.lookupByName(desired.domainName), options);
    return [...xml.matchAll(/<source file='([^']*root[^']*)'/g)].map(([, path]) => path);
  };
  assert.deepEqual([await blocksOf({}), await blocksOf({ inactive: true })], [[file], [file]]);
  assert.deepEqual((await readPattern(file, blocks)).slice(0, 3), [1, 2, 3]);
  assert.equal((await readdir(join(storagePath, 'instances', id))).includes('root.qcow2'), false);
  assert.deepEqual(await agent.findDrifts(cloudId), []);
  const later = snapshot('later');
  await agent.applySnapshot(later);
  assert.equal((await readdir(join(fast.path, 'root-disks', id))).filter((name) => name.endsWith('.qcow2')).length, 2);
  await writeInGuest(outside, desired.domainName, [4], { from: 2 });
  await agent.deleteSnapshot(later);
  assert.deepEqual(await blocksOf({}), [file]);
  await agent.applyInstance(stopped(desired));
  // Where it is asked for, or how its disk was made, is of no meaning any more.
  const larger = { ...desired, generation: 3, rootDisk: { ...rootDisk, sizeBytes: 16 * mebibyte } };
  const on = await agent.applyInstance(larger);
  assert.deepEqual([on.state, on.drift], ['running', undefined]);
  assert.deepEqual((await readPattern(file, blocks)).slice(0, 3), [1, 2, 4]);
  assert.match(await runCommand('qemu-img', ['info', '-U', file]), /virtual size: 16 MiB/);
  await agent.deleteInstance(larger);
  assert.deepEqual(await readdir(join(fast.path, 'root-disks')), []);
  await agent.deletePool(poolOf(fast));
});

test('an encrypted volume is moved with its key, of a guest that runs too', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const fast = await aPool(host, t);
  const passphrase = 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGtub3dz';
  const volume = aVolume(host, { passphrase });
  await agent.applyVolume(volume);
  const desired = machine(host, volume);
  await agent.applyInstance(desired);
  await writeInGuest(outside, desired.domainName, [5, 5], device(volume));
  const after = await moved(host, moveOf(volume, poolOf(fast), { holder: desired }));
  await writeInGuest(outside, desired.domainName, [6], { ...device(volume), from: 1 });
  await agent.applyInstance(stopped(desired));
  const home = await moved(host, moveOf(after, undefined, { holder: desired }));
  assert.equal((await agent.applyInstance({ ...desired, generation: 3 })).state, 'running');
  assert.deepEqual(await readInGuest(host, desired, volume), [5, 6]);
  const [seen] = await agent.listVolumes(host.cloudId);
  assert.deepEqual([seen?.encrypted, seen?.poolId, seen?.generation], [true, undefined, home.generation]);
});

/** The first blocks as the guest has them. */
async function readInGuest({ outside: { domains } }: TestHost, { domainName }: DesiredInstance, { id }: DesiredVolume) {
  const ref = await domains.lookupByName(domainName);
  const found: number[] = [];
  for (const [block, byte] of [5, 6].entries()) {
    const line = `qemu-io -d /machine/peripheral/ua-${id}/virtio-backend "read -P ${byte} ${block * 65_536} 65536"`;
    const answer = await domains.monitorCommand(ref, {
      execute: 'human-monitor-command',
      arguments: { 'command-line': line },
    });
    found.push(/Pattern verification failed/i.test(String(answer)) ? -1 : byte);
  }
  return found;
}

test('a guest that starts, or goes off, while its volume is copied has it copied anew', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const fast = await aPool(host, t);
  const volume = aVolume(host);
  await agent.applyVolume(volume);
  const desired = machine(host, volume);
  await agent.applyInstance(stopped(desired, 1));
  const move = moveOf(volume, poolOf(fast), { holder: desired });
  await agent.copyVolume(move);
  await agent.applyInstance({ ...desired, generation: 2 });
  await writeInGuest(outside, desired.domainName, [3, 3], device(volume));
  assert.equal(await agent.switchVolume(move), false);
  await agent.copyVolume(move);
  await writeInGuest(outside, desired.domainName, [4], device(volume));
  // It dies in the middle of it, and is started by somebody: what it had is there.
  const ref = await outside.domains.lookupByName(desired.domainName);
  await outside.domains.destroy(ref);
  await outside.domains.create(ref);
  assert.deepEqual((await contentOf(host, volume)).slice(0, 3), [4, 3, 0]);
  assert.equal(await agent.switchVolume(move), false);
  await agent.copyVolume(move);
  assert.equal(await agent.switchVolume(move), true);
  await agent.finishMove(identityOf(move));
  assert.deepEqual((await contentOf(host, move.volume)).slice(0, 3), [4, 3, 0]);
});

test('a guest that somebody has hibernated meanwhile keeps its volume where its memory knows it', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const fast = await aPool(host, t);
  const volume = aVolume(host);
  await agent.applyVolume(volume);
  const desired = machine(host, volume);
  await agent.applyInstance(stopped(desired, 1));
  const move = moveOf(volume, poolOf(fast), { holder: desired });
  await agent.copyVolume(move);
  const ref = await outside.domains.lookupByName(desired.domainName);
  await outside.domains.create(ref);
  await outside.domains.managedSave(ref);
  await assert.rejects(agent.switchVolume(move), (error: VirgaError) => error.code === 'Conflict');
  await assert.rejects(agent.copyVolume(move), (error: VirgaError) => error.code === 'Conflict');
  await agent.cancelMove(identityOf(move));
  await outside.domains.create(ref);
  await writeInGuest(outside, desired.domainName, [4], device(volume));
  assert.deepEqual((await contentOf(host, volume)).slice(0, 2), [4, 0]);
  assert.deepEqual(await foldersOf(host, fast), [volume.id]);
});

test('a pool that becomes full ends the copy, and the guest writes on', async (t) => {
  const host = await open(t);
  const { outside } = host;
  const small = await aPool(host, t, 32);
  const volume = aVolume(host);
  const agent = await host.openAgent({
    hook: async (step) => {
      if (step === 'move-mirror') await runCommand('fallocate', ['--length', '31M', join(small.path, 'ballast')]);
    },
  });
  await agent.applyVolume(volume);
  const desired = machine(host, volume);
  await agent.applyInstance(desired);
  await writeInGuest(outside, desired.domainName, Array(32).fill(7), device(volume));
  const move = moveOf(volume, poolOf(small), { holder: desired });
  await assert.rejects(agent.copyVolume(move), (error: VirgaError) => error.code === 'StorageFull');
  await writeInGuest(outside, desired.domainName, [8], device(volume));
  await agent.cancelMove(identityOf(move));
  assert.deepEqual((await contentOf(host, volume)).slice(0, 2), [8, 7]);
  await rm(join(small.path, 'ballast'));
  assert.deepEqual(await foldersOf(host, small), [volume.id]);
  // With room again it is moved after all.
  const again = await moved(host, { ...move, token: newId('operation') });
  await writeInGuest(outside, desired.domainName, [9], { ...device(volume), from: 1 });
  assert.deepEqual((await contentOf(host, again)).slice(0, 3), [8, 9, 7]);
  await agent.applyInstance(stopped(desired));
  await moved(host, moveOf(again, undefined, { holder: desired }));
});

test('a move that is taken back leaves the guest and the volume as they were', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const fast = await aPool(host, t);
  const volume = aVolume(host);
  await agent.applyVolume(volume);
  const desired = machine(host, volume);
  await agent.applyInstance(desired);
  await writeInGuest(outside, desired.domainName, [1, 2], device(volume));
  const move = { ...moveOf(volume, poolOf(fast), { holder: desired }), bandwidthBytesPerSecond: 64 * 1024 };
  const stop = new AbortController();
  // So slow that it does not end by itself: the disk is written in full.
  await writeInGuest(outside, desired.domainName, Array(100).fill(7), { ...device(volume), from: 10 });
  const copying = agent.copyVolume(move, { signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
  await assert.rejects(copying, /enough/);
  assert.equal(await agent.switchVolume(move), false);
  const identity = identityOf(move);
  assert.deepEqual(await agent.listMoves(host.cloudId), [{ ...identity, isSwitched: false }]);
  const other = { ...move, token: newId('operation') };
  await assert.rejects(agent.copyVolume(other), (error: VirgaError) => error.code === 'Conflict');
  await agent.cancelMove({ ...identity, token: other.token });
  assert.equal((await agent.listMoves(host.cloudId)).length, 1);
  await agent.cancelMove(identity);
  await agent.cancelMove(identity);
  assert.deepEqual(await agent.listMoves(host.cloudId), []);
  await writeInGuest(outside, desired.domainName, [3], { ...device(volume), from: 2 });
  assert.deepEqual((await contentOf(host, volume)).slice(0, 4), [1, 2, 3, 0]);
  assert.deepEqual(await foldersOf(host, fast), [volume.id]);
  assert.equal((await agent.applyInstance({ ...desired, generation: 2 })).drift, undefined);
});

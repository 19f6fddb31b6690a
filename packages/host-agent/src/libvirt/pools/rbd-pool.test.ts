// A pool of a real Ceph cluster: volumes made, grown, given to a guest that runs, and removed; the key is on no command line.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredPool } from '@virga/contract/agent/pools';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import { type ImageId, newId } from '@virga/contract/ids';
import { hasCeph, type MiniCeph, startMiniCeph } from '@virga/testing/mini-ceph';
import { eventually } from '../../contract-suite/eventually.ts';
import { hostAgentContract } from '../../contract-suite/host-agent-contract.ts';
import { greeting, tinyGuestDisk } from '../../contract-suite/tiny-guest.ts';
import { testCephBackups } from '../backups/testing/ceph-backup-cases.ts';
import { testRbdMoves } from '../moves/rbd-move-cases.ts';
import { testRbdSnapshots } from '../snapshots/rbd-snapshot-cases.ts';
import { openLibvirtHarness } from '../testing/libvirt-harness.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';
import { cephSecretUuid } from './ceph-secret.ts';

const mebibyte = 1024 ** 2;
let ceph: MiniCeph | undefined;
let host: TestHost;
let pool: DesiredPool;
/** On a machine with a lot else to do. */
const busyMs = 300_000;
before(startPool, { timeout: busyMs });
async function startPool() {
  if (!(await hasCeph())) return;
  ceph = await startMiniCeph();
  host = await openTestHost(75);
  const { monitors, pool: cephPool, user, key } = ceph;
  pool = {
    id: newId('pool'),
    cloudId: host.cloudId,
    generation: 1,
    name: 'ceph',
    mustExist: false,
    place: { driver: 'rbd', monitors, cephPool, user, key },
  };
}
after(async () => {
  await host?.close();
  await ceph?.close();
});

const aVolume = (changes: Partial<DesiredVolume> = {}): DesiredVolume => ({
  id: newId('volume'),
  cloudId: host.cloudId,
  generation: 1,
  name: 'data',
  sizeBytes: 64 * mebibyte,
  mustExist: false,
  keepsake: {},
  pool,
  ...changes,
});
/** Other tests have theirs in the same libvirtd. */
const secretOfPool = async () =>
  (await host.outside.secrets.list()).find(({ uuid }) => uuid === cephSecretUuid(pool.id));
const images = async () => JSON.parse(await ceph!.run('rbd', ['ls', '--format', 'json', ceph!.pool])) as string[];

const fileOf = (id: ImageId) => ({ kind: 'file' as const, path: join(host.storagePath, `${id}.raw`) });

async function importImage(content: Buffer): Promise<ImageId> {
  const id = newId('image');
  const source = fileOf(id);
  await writeFile(source.path, content);
  await host.agent.importImage({ id, cloudId: host.cloudId, generation: 1, source, format: 'raw' });
  return id;
}

test('a pool of Ceph is opened with its room, and refused with another key', async (t) => {
  if (!ceph) return t.skip('Ceph is not installed');
  const { agent, cloudId } = host;
  const place = { ...pool.place, key: Buffer.alloc(28, 1).toString('base64') } as DesiredPool['place'];
  await assert.rejects(agent.applyPool({ ...pool, place }), { code: 'PoolUnusable' });
  const observed = await agent.applyPool(pool);
  assert.equal(observed.failure, null);
  assert.ok(observed.capacityBytes > 1024 * mebibyte && observed.freeBytes <= observed.capacityBytes);
  assert.deepEqual(
    (await agent.listPools(cloudId)).map(({ id, failure }) => [id, failure]),
    [[pool.id, null]],
  );
  assert.ok(!JSON.stringify(await agent.inventory()).includes(ceph.key), 'nobody is told its key');
});

test('a volume in Ceph is made, grown, told and removed, and begins as a copy of an image', async (t) => {
  if (!ceph) return t.skip('Ceph is not installed');
  const { agent, cloudId } = host;
  const volume = aVolume();
  const made = await agent.applyVolume(volume);
  assert.deepEqual([made.format, made.sizeBytes, made.intact], ['raw', 64 * mebibyte, true]);
  assert.equal(
    (await agent.applyVolume({ ...volume, generation: 2, mustExist: true, sizeBytes: 80 * mebibyte })).sizeBytes,
    80 * mebibyte,
  );
  const content = randomBytes(2 * mebibyte);
  const copy = aVolume({ source: { imageId: await importImage(content), clone: 'full' } });
  assert.ok(((await agent.applyVolume(copy)).usedBytes ?? 0) >= content.length);
  const exported = join(host.storagePath, 'exported.raw');
  await ceph.run('rbd', ['export', '--no-progress', `${ceph.pool}/${copy.id}`, exported]);
  const read = await readFile(exported);
  assert.ok(read.subarray(0, content.length).equals(content));
  assert.equal(read.length, 64 * mebibyte);
  assert.deepEqual((await images()).sort(), [volume.id, copy.id].sort());
  await assert.rejects(agent.deletePool(pool), { code: 'InUse' });
  await ceph.run('rbd', ['rm', '--no-progress', `${ceph.pool}/${copy.id}`]);
  const lost = (await agent.listVolumes(cloudId)).find(({ id }) => id === copy.id);
  assert.equal(lost?.intact, false, 'one that somebody removed is said to be lost');
  await assert.rejects(agent.applyVolume({ ...copy, mustExist: true }), { code: 'HypervisorRefused' });
  for (const one of [volume, copy]) await agent.deleteVolume(one);
  assert.deepEqual(await images(), []);
});

test('while other images come and go, no volume is told of as lost', async (t) => {
  if (!ceph) return t.skip('Ceph is not installed');
  const { run, pool: cephPool } = ceph;
  const volume = aVolume();
  await host.agent.applyVolume(volume);
  let isOver = false;
  const churn = (async () => {
    for (let turn = 0; turn < 4; turn++) {
      await run('rbd', ['create', '--size', '4M', `${cephPool}/passing`]);
      await run('rbd', ['rm', '--no-progress', `${cephPool}/passing`]);
    }
  })().finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const [seen] = (await host.agent.listVolumes(host.cloudId)).filter(({ id }) => id === volume.id);
    assert.equal(seen?.intact, true);
  }
  await churn;
  await host.agent.deleteVolume(volume);
});

test('what is wiped of a volume in Ceph reads as zeroes before it is removed', async (t) => {
  if (!ceph) return t.skip('Ceph is not installed');
  const { run, pool: cephPool } = ceph;
  const volume = aVolume();
  const exported = join(host.storagePath, 'wiped.raw');
  const content = async () => {
    await rm(exported, { force: true });
    await run('rbd', ['export', '--no-progress', `${cephPool}/${volume.id}`, exported]);
    return readFile(exported);
  };
  const wiped: boolean[] = [];
  const agent = await host.openAgent({
    hook: async (step) => {
      if (step === 'delete-volume') wiped.push((await content()).every((byte) => byte === 0));
    },
  });
  await agent.applyVolume(volume);
  await run('rbd', ['bench', '--io-type', 'write', '--io-total', '9M', '--io-size', '1M', `${cephPool}/${volume.id}`]);
  assert.ok((await content()).some((byte) => byte !== 0));
  const told: number[] = [];
  await agent.deleteVolume({ ...volume, wipe: 'zero' }, { onProgress: (_, percent) => void told.push(percent) });
  assert.deepEqual([wiped, told.at(-1)], [[true], 90]);
  assert.ok(!(await images()).includes(volume.id));
});

test('a guest has a volume of Ceph from its start, gets another while it runs, and sees it grow', async (t) => {
  if (!ceph) return t.skip('Ceph is not installed');
  const { agent, outside, cloudId } = host;
  const network = host.network();
  await agent.applyNetwork(network);
  const imageId = await importImage(tinyGuestDisk({ answersAcpi: true }));
  const [first, second] = [aVolume(), aVolume()];
  for (const one of [first, second]) await agent.applyVolume(one);
  // As after a restart of libvirt, which forgets the key.
  await outside.secrets.undefine((await secretOfPool())!);
  const target = (letter: string, { id }: DesiredVolume) => ({ id, target: `vd${letter}`, readOnly: false });
  const desired = { ...host.instance(network, imageId), volumes: [target('c', first)] };
  assert.equal((await agent.applyInstance(desired)).state, 'running');
  await eventually(
    'it has booted',
    async () =>
      (await agent.consoleLog(desired.id, 1024)).bytes.toString().includes(greeting.trim()) ? true : undefined,
    60_000,
  );
  await agent.applyInstance({ ...desired, generation: 2, volumes: [target('c', first), target('d', second)] });
  const ref = await outside.domains.lookupByName(desired.domainName);
  assert.match(await outside.domains.xml(ref), new RegExp(`protocol='rbd' name='${ceph.pool}/${second.id}'`));
  await agent.applyVolume({ ...second, generation: 2, mustExist: true, sizeBytes: 96 * mebibyte });
  assert.equal(Number((await outside.domains.blockInfo(ref, 'vdd')).capacityBytes), 96 * mebibyte);
  await assert.rejects(agent.deleteVolume(second), { code: 'InUse' });
  await agent.deleteInstance(desired);
  await agent.deleteNetwork(network);
  for (const one of [first, second]) await agent.deleteVolume(one);
  await agent.deletePool(pool);
  assert.deepEqual(await agent.listPools(cloudId), []);
  assert.equal(await secretOfPool(), undefined, 'the key goes with the pool');
});

test('a root disk in Ceph is a clone that takes what is written to it, made again where a crash left it half, and told when lost', async (t) => {
  if (!ceph) return t.skip('Ceph is not installed');
  const { agent, outside, cloudId } = host;
  await agent.applyPool(pool);
  const network = host.network();
  await agent.applyNetwork(network);
  const imageId = await importImage(Buffer.concat([tinyGuestDisk({ answersAcpi: true }), randomBytes(8 * mebibyte)]));
  const id = newId('volume');
  const rootDisk = { id, imageId, sizeBytes: 64 * mebibyte, pool: pool.id };
  const desired = host.instance(network, imageId, { rootDisk });
  const copy = `${imageId}.${cloudId}`;
  const dying = await host.openAgent({
    hook: (step) => {
      if (step === 'root-disk-name') throw new VirgaError('HostUnavailable', { detail: 'It dies.', action: 'Again.' });
    },
  });
  await assert.rejects(dying.applyInstance(desired), { code: 'HostUnavailable' });
  assert.deepEqual((await images()).sort(), [copy, `${id}.partial`].sort());
  assert.equal((await agent.applyInstance(desired)).state, 'running');
  assert.deepEqual((await images()).sort(), [copy, id].sort());
  const json = async (...args: string[]) => JSON.parse(await ceph!.run('rbd', [...args, '--format', 'json']));
  assert.deepEqual(
    (await json('children', `${ceph.pool}/${copy}@base`)).map(({ image }: { image: string }) => image),
    [id],
  );
  assert.equal((await json('info', `${ceph.pool}/${id}`)).size, 64 * mebibyte);
  const used = async (image: string): Promise<number> => {
    const { images: all } = await json('du', `${ceph!.pool}/${image}`);
    return all.reduce((sum: number, { used_size: bytes }: { used_size: number }) => sum + bytes, 0);
  };
  assert.ok((await used(copy)) >= 8 * mebibyte && (await used(id)) < 8 * mebibyte);

  const off = { state: 'stopped', forceAt: new Date(0).toISOString() } as const;
  await agent.applyInstance({ ...desired, generation: 2, power: off });
  // As after a restart of libvirt, which forgets the key.
  await outside.secrets.undefine((await secretOfPool())!);
  assert.equal((await agent.applyInstance({ ...desired, generation: 3 })).state, 'running');
  // As on another host of the pool that somebody has brought the guest to.
  const other = await host.openAgent({ storagePath: join(host.storagePath, 'other') });
  await other.applyPool({ ...pool, mustExist: true });
  await other.importImage({ id: imageId, cloudId, generation: 1, format: 'raw', source: fileOf(imageId) });
  const there = await other.applyInstance({ ...desired, generation: 4 });
  assert.deepEqual([there.state, there.intact], ['running', true]);
  await other.applyInstance({ ...desired, generation: 5, power: off });
  await ceph.run('rbd', ['rm', '--no-progress', `${ceph.pool}/${id}`]);
  await assert.rejects(other.applyInstance({ ...desired, generation: 6 }), {
    code: 'HypervisorRefused',
    detail: new RegExp(`is gone: there is no ${ceph.pool}/${id} in Ceph`),
  });
  for (const one of [other, agent]) await one.deleteInstance(desired);
  await agent.deleteNetwork(network);
  await agent.deleteImageCopy({ poolId: pool.id, imageId, cloudId });
  assert.deepEqual(await images(), []);
  await agent.deletePool(pool);
});

hostAgentContract(
  'libvirt',
  openLibvirtHarness(86, () => ({ cephPlace: pool?.place })),
  ['ceph'],
);

testRbdMoves(() => ceph && { ceph, host, pool });

testRbdSnapshots(() => ceph && { ceph, host, pool });

testCephBackups(() => ceph && { ceph, host, pool });

// The server is killed, with SIGKILL, at steps of moves of a volume and of the root disk that a running guest writes to: each move ends in the pool that
// was asked for, the guest has what it wrote, and nothing is left. VIRGA_TEST_MOVE_KILLS says how often at least.
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import type { Instance } from '@virga/contract/rest/instances';
import type { Volume } from '@virga/contract/rest/volumes';
import { readPattern, writeInGuest } from '@virga/host-agent/libvirt/testing/disk-patterns';
import { type Connection, connect } from '@virga/libvirt/connection/connect';
import { until } from '@virga/testing/until';
import { type LibvirtCloud, launchOne, openLibvirtCloud, virsh } from '../libvirt-cloud.ts';
import { succeeded } from '../prepare-cloud.ts';

const wantedKills = Number(process.env.VIRGA_TEST_MOVE_KILLS ?? 4);
/** Without that many to do, not every step is tried. */
const stride = wantedKills > 50 ? 1 : 4;
const patience = { timeoutMs: 90_000, intervalMs: 50 };
const blocks = 6;
/** Of its root disk, behind what it boots from. */
const firstFree = 8;

test('every move ends where it was to, with all that the guest wrote, however often the server is killed', async (t) => {
  const setting = await openLibvirtCloud();
  t.after(() => setting.close());
  const { cloud } = setting;
  const libvirt = await connect({ transport: { kind: 'unix', path: '/run/libvirt/libvirt-sock' } });
  t.after(() => libvirt.close());
  const instance = await launchOne(setting);
  await makePools(setting);
  const volume = await attached(setting, instance);
  const content = Array.from({ length: blocks }, () => 0);
  let kills = 0;
  for (let turn = 0, step = 1; kills < wantedKills; turn++) {
    const target = ['fast', 'slow', 'local'][turn % 3]!;
    const format = turn % 2 === 0 ? 'raw' : 'qcow2';
    content[turn % blocks] = 1 + (turn % 250);
    const { domainName } = instance;
    await writeInGuest(libvirt, domainName, [content[turn % blocks]!], {
      device: `ua-${volume.id}`,
      from: turn % blocks,
    });
    const isKilled = await movedUnderFault(setting, moveOfVolume(setting, volume.id, { pool: target, format }), step);
    step = isKilled ? step + stride : 1 + (turn % stride);
    if (isKilled) kills++;
    const what = `moved to ${target}, killed at step ${step}`;
    const [live, defined] = await Promise.all([fileOf(instance, volume), fileOf(instance, volume, '--inactive')]);
    assert.equal(live, defined, what);
    assert.deepEqual(await readPattern(live!, blocks), content, what);
    assert.deepEqual(await placesOf(setting, volume), [target], what);
  }
  kills += await moveRoot(setting, instance, libvirt);
  const { client } = cloud;
  const instanceGoes = await client.deleteInstance({ params: { id: instance.id }, query: {} });
  await succeeded(cloud, instanceGoes.operationId, patience);
  const volumeGoes = await client.deleteVolume({ params: { id: volume.id }, query: {} });
  await succeeded(cloud, volumeGoes.operationId, patience);
  assert.deepEqual(await placesOf(setting, volume), []);
  assert.deepEqual(await rootsOf(setting, instance), []);
  assert.deepEqual(await readdir(join(setting.folder, 'storage', 'moves')), []);
  t.diagnostic(`${kills} kills, 0 lost, 0 left behind`);
});

/** Of the same guest, with what it has booted from. @returns how often the server was killed */
async function moveRoot(setting: LibvirtCloud, instance: Instance, libvirt: Connection): Promise<number> {
  const content = Array.from({ length: blocks }, () => 0);
  let kills = 0;
  for (let turn = 0, step = 1; kills < Math.max(2, wantedKills / 2); turn++) {
    const target = ['fast', 'slow', 'local'][turn % 3]!;
    content[turn % blocks] = 1 + (turn % 250);
    await writeInGuest(libvirt, instance.domainName, [content[turn % blocks]!], { from: firstFree + (turn % blocks) });
    const isKilled = await movedUnderFault(setting, moveOfRoot(setting, instance.id, target), step);
    step = isKilled ? step + stride : 1 + (turn % stride);
    if (isKilled) kills++;
    const what = `root disk moved to ${target}, killed at step ${step}`;
    const [live, defined] = await Promise.all([rootOf(instance), rootOf(instance, '--inactive')]);
    assert.deepEqual([live], await rootsOf(setting, instance), what);
    assert.equal(live, defined, what);
    assert.deepEqual(await readPattern(live!, blocks, firstFree), content, what);
  }
  return kills;
}

const rootOf = async ({ domainName }: Instance, ...options: string[]): Promise<string | undefined> =>
  /\S*root\.qcow2/.exec(await virsh('domblklist', domainName, ...options))?.[0];

/** Files of its root disk. */
async function rootsOf({ folder }: LibvirtCloud, { id }: Instance): Promise<string[]> {
  const storage = join(folder, 'storage');
  const homes = [
    join(storage, 'instances'),
    ...[storage, join(folder, 'fast'), join(folder, 'slow')].map((path) => join(path, 'root-disks')),
  ];
  const found = await Promise.all(
    homes.map(async (home) => {
      const names = await readdir(join(home, id)).catch(() => []);
      return names.filter((name) => /^root\.q/.test(name)).map((name) => join(home, id, name));
    }),
  );
  return found.flat();
}

async function makePools({ cloud, folder }: LibvirtCloud): Promise<void> {
  for (const name of ['fast', 'slow']) {
    const path = join(folder, name);
    await mkdir(path);
    await chmod(path, 0o711);
    const { operationId } = await cloud.client.createPool({ body: { name, driver: 'directory', path } });
    await succeeded(cloud, operationId, patience);
  }
}

async function attached({ cloud }: LibvirtCloud, { id }: Instance): Promise<Volume> {
  const { client } = cloud;
  const { volume, operationId } = await client.createVolume({ body: { name: 'data', sizeGib: 1, instance: id } });
  await succeeded(cloud, operationId, patience);
  const attach = await client.attachVolume({ params: { id }, body: { volume: volume.id } });
  await succeeded(cloud, attach.operationId, patience);
  return volume;
}

type Move = { isThere(): Promise<boolean>; begin(): Promise<unknown> };

const moveOfVolume = (
  { cloud }: LibvirtCloud,
  id: Volume['id'],
  body: { pool: string; format: 'raw' | 'qcow2' },
): Move => ({
  isThere: async () => {
    const { poolName, move } = await cloud.client.getVolume({ params: { id } });
    return poolName === body.pool && move === null;
  },
  begin: () => cloud.client.moveVolume({ params: { id }, body }),
});

const moveOfRoot = ({ cloud }: LibvirtCloud, id: Instance['id'], pool: string): Move => ({
  isThere: async () => {
    const { rootPoolName, rootDiskMove } = await cloud.client.getInstance({ params: { id } });
    return (rootPoolName ?? 'local') === pool && rootDiskMove === null;
  },
  begin: () => cloud.client.moveRootDisk({ params: { id }, body: { pool } }),
});

/** @returns false when it was over before that step came */
async function movedUnderFault({ cloud }: LibvirtCloud, { isThere, begin }: Move, step: number): Promise<boolean> {
  const ask = async () => {
    if (await isThere()) return;
    try {
      await begin();
    } catch (error) {
      // It was asked for before the server died, and is under way or done.
      if (!(error instanceof VirgaError) || !['Conflict', 'InvalidArgument'].includes(error.code)) throw error;
    }
  };
  await cloud.killAtStep(step);
  let isOver = false;
  let failure: unknown;
  ask()
    .then(() => until('it has moved', isThere, patience))
    .then(
      () => {
        isOver = true;
      },
      // What was asked of a server that dies may fail in any way, and long after.
      (error) => {
        failure = error;
      },
    );
  await until('it has moved, or the server is dead', () => isOver || failure || !cloud.isAlive, patience);
  if (failure && !(await cloud.isDying())) throw failure;
  if (cloud.isAlive) await cloud.killAtStep(Number.MAX_SAFE_INTEGER);
  if (cloud.isAlive) return false;
  await cloud.start();
  await ask();
  await until('it has moved', isThere, patience);
  return true;
}

async function fileOf({ domainName }: Instance, { id }: Volume, ...options: string[]): Promise<string | undefined> {
  return new RegExp(`\\S*/${id}/\\S*`).exec(await virsh('domblklist', domainName, ...options))?.[0];
}

/** Pools that have a folder of the volume. */
async function placesOf({ folder }: LibvirtCloud, { id }: Volume): Promise<string[]> {
  const own = join(folder, 'storage', 'volumes');
  const homes = [
    ['fast', join(folder, 'fast', 'volumes')],
    ['slow', join(folder, 'slow', 'volumes')],
    ['local', join(own, '.moved-in')],
    ['local', own],
  ] as const;
  const found: string[] = [];
  for (const [name, home] of homes) {
    const entries = await readdir(home, { withFileTypes: true }).catch(() => []);
    if (entries.some((entry) => entry.name === id && entry.isDirectory())) found.push(name);
  }
  return found;
}

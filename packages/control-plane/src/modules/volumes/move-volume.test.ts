import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { newId, type VolumeId } from '@virga/contract/ids';
import type { CreatePool } from '@virga/contract/rest/pools';
import type { CreateVolume, Volume } from '@virga/contract/rest/volumes';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { systemAccess } from '../../access/system-access.ts';
import { attachVolume, detachVolume } from '../instances/attach-volume.ts';
import { hibernateInstance } from '../instances/power-operations.ts';
import { createPool, deletePool, getPool } from '../pools/pool-operations.ts';
import { cloneInstance } from '../snapshots/clone-operations.ts';
import { createSnapshot } from '../snapshots/snapshot-operations.ts';
import { createVolume } from './create-volume.ts';
import { cancelVolumeMove, moveVolume } from './move-volume.ts';
import { updateVolume } from './update-volume.ts';
import { deleteVolume, getVolume, resizeVolume } from './volume-operations.ts';
import { recordVolumeSeen } from './volume-outcome.ts';

const nothing = { callMs: 0, folderMs: 0, seedMs: 0, leasesMs: 0, defineMs: 0, startMs: 0, networkMs: 0, imageMs: 0 };

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({
    // Only the copy takes a millisecond, and can be made to take long.
    hosts: [{ timings: { ...nothing, rootDiskMs: 1 } }, {}],
    settings: { resyncPeriodMs: 300, reconcilePeriodMs: 300, factsPeriodMs: 100 },
  });
  await cloud.prepare();
  for (const name of ['fast', 'slow']) await aPool(name, 'host-1');
  for (const name of ['fast', 'elsewhere']) await aPool(name, 'host-2');
});
after(() => cloud.close());

const aPool = (name: string, host: string) =>
  openPool({ name, driver: 'directory', path: `/srv/${name}`, hosts: [host] });

async function openPool(asked: CreatePool) {
  const { pool, operationId } = await createPool(cloud.deps, cloud.administrator, asked);
  await cloud.succeeded(operationId);
  return pool;
}

const get = (id: VolumeId) => getVolume(cloud.deps.db, cloud.operator, id);
const onHost = async (id: VolumeId) =>
  (await cloud.host().listVolumes(cloud.deps.cloudId)).find((volume) => volume.id === id);
const move = (id: VolumeId, pool: string, more: { format?: 'raw' | 'qcow2'; wipe?: boolean } = {}) =>
  moveVolume(cloud.deps, cloud.operator, id, { pool, ...more });
const movesOf = async () => cloud.host().listMoves(cloud.deps.cloudId);

async function aVolume(name: string, more: Partial<CreateVolume> = {}): Promise<Volume> {
  const { volume, operationId } = await createVolume(cloud.deps, cloud.operator, {
    ...{ name, sizeGib: 1, ...(more.instance === undefined && { host: 'host-1' }) },
    ...more,
  });
  await cloud.succeeded(operationId);
  return get(volume.id);
}

test('a volume goes to another pool of its host, with its operation, and is as it was otherwise', async () => {
  const before = await aVolume('data');
  const { volume, operationId } = await move(before.id, 'fast', { format: 'raw' });
  assert.deepEqual([volume.poolName, volume.move?.poolName, volume.move?.operationId], ['local', 'fast', operationId]);
  await cloud.succeeded(operationId);
  const now = await get(before.id);
  const { poolId, generation } = now;
  assert.deepEqual(now, { ...before, poolId, poolName: 'fast', format: 'raw', generation });
  assert.notEqual(poolId, before.poolId);
  const seen = await onHost(before.id);
  assert.deepEqual([seen?.poolId, seen?.format, seen?.generation], [poolId, 'raw', generation]);
  assert.deepEqual(await movesOf(), []);
  const grown = await resizeVolume(cloud.deps, cloud.operator, before.id, { sizeGib: 2 });
  await cloud.succeeded(grown.operationId);
  await cloud.succeeded((await move(before.id, 'local', { wipe: true })).operationId);
  assert.equal((await get(before.id)).poolName, 'local');
  await cloud.succeeded((await deleteVolume(cloud.deps, cloud.operator, before.id)).operationId);
});

test('a volume goes into a Ceph pool, where it is raw and takes what is written, and home again', async () => {
  const ceph = { monitors: ['10.0.0.1'], pool: 'moves', user: 'virga', key: Buffer.alloc(28).toString('base64') };
  await openPool({ name: 'ceph', driver: 'rbd', ceph, hosts: ['host-1'] });
  const before = await aVolume('wide', { preallocation: 'metadata' });
  const locked = await aVolume('locked', { encrypted: true });
  await assert.rejects(move(before.id, 'ceph', { format: 'qcow2' }), { code: 'InvalidArgument', field: '/format' });
  for (const { id } of [before, locked]) {
    await cloud.succeeded((await move(id, 'ceph')).operationId);
    const { poolName, format } = await get(id);
    assert.deepEqual([poolName, format], ['ceph', 'raw']);
  }
  await openPool({ name: 'ceph-2', driver: 'rbd', ceph: { ...ceph, monitors: ['10.0.0.2'] }, hosts: ['host-1'] });
  await assert.rejects(move(locked.id, 'ceph-2'), { code: 'InvalidArgument', field: '/pool' });
  await assert.rejects(move(locked.id, 'local', { format: 'raw' }), { code: 'InvalidArgument', field: '/encrypted' });
  await cloud.succeeded((await move(locked.id, 'local')).operationId);
  assert.equal((await get(locked.id)).format, 'qcow2');
  await cloud.succeeded((await move(before.id, 'local', { format: 'qcow2', wipe: true })).operationId);
  const { poolId, generation, ...now } = await get(before.id);
  assert.deepEqual({ ...now, poolId: before.poolId, generation: before.generation }, before);
  assert.equal((await onHost(before.id))?.poolId, undefined);
});

test('tables that were made beforehand are none any more in a raw volume', async () => {
  const wide = await aVolume('tables', { preallocation: 'metadata' });
  await cloud.succeeded((await move(wide.id, 'fast', { format: 'raw' })).operationId);
  const { format, preallocation } = await get(wide.id);
  assert.deepEqual([format, preallocation], ['raw', 'off']);
  assert.equal((await onHost(wide.id))?.format, 'raw');
});

test('what a linked clone rests on is copied too, and it rests on nothing afterwards', async () => {
  const linked = await aVolume('linked', { image: 'disk', clone: 'linked' });
  await cloud.succeeded((await move(linked.id, 'fast')).operationId);
  assert.equal((await get(linked.id)).image?.clone, 'full');
  assert.equal((await onHost(linked.id))?.source?.clone, 'full');
});

test('while a volume moves nothing else is made of it, and cancelled it stays where it was', async () => {
  const volume = await aVolume('steady');
  const instance = await cloud.launch('web');
  cloud.host().slowDown(1_000_000);
  const { operationId } = await move(volume.id, 'slow');
  try {
    const refused = { code: 'Conflict', message: /being moved to the pool slow/ };
    await assert.rejects(move(volume.id, 'fast'), refused);
    await assert.rejects(resizeVolume(cloud.deps, cloud.operator, volume.id, { sizeGib: 2 }), refused);
    await assert.rejects(updateVolume(cloud.deps, cloud.operator, volume.id, { name: 'other' }), refused);
    await assert.rejects(deleteVolume(cloud.deps, cloud.operator, volume.id), refused);
    await assert.rejects(attachVolume(cloud.deps, cloud.operator, instance.id, { volume: volume.id }), refused);
    const slow = (await get(volume.id)).move!.poolId;
    await assert.rejects(deletePool(cloud.deps, cloud.administrator, slow), { code: 'InUse' });
    const pool = await getPool(cloud.deps.db, cloud.operator, slow);
    assert.equal(pool.allocatedBytes, volume.sizeBytes, 'what is on its way counts');
    const row = await cloud.deps.db.selectFrom('volumes').selectAll().where('id', '=', volume.id).executeTakeFirst();
    await recordVolumeSeen({ deps: cloud.deps, access: systemAccess('test') }, row!, false);
    assert.equal(
      (await get(volume.id)).state,
      'available',
      'it is not lost, though for a moment no place has its name',
    );
    // The second one finds it cancelled, or already taken back.
    const cancel = () => cancelVolumeMove(cloud.deps, cloud.operator, volume.id);
    await cancel();
    await cancel().catch((error) => assert.match(error.message, /is not being moved/));
  } finally {
    cloud.host().slowDown(1);
  }
  const error = await cloud.failed(operationId);
  assert.match(error.detail, /was cancelled/);
  assert.deepEqual(await get(volume.id), volume);
  assert.deepEqual(await movesOf(), []);
  await assert.rejects(cancelVolumeMove(cloud.deps, cloud.operator, volume.id), { code: 'Conflict' });
});

test('a move that its host refuses is taken back, and one that is interrupted goes on', async () => {
  const volume = await aVolume('refused');
  cloud.host().failNext('move-copy', 'StorageFull');
  const error = await cloud.failed((await move(volume.id, 'fast')).operationId);
  assert.equal(error.code, 'StorageFull');
  assert.deepEqual([await get(volume.id), await movesOf()], [volume, []]);
  for (const step of ['move-record', 'move-copy', 'move-switch', 'move-remove']) {
    cloud.host().failNext(step, 'HostUnavailable');
    const to = (await get(volume.id)).poolName === 'fast' ? 'slow' : 'fast';
    await cloud.succeeded((await move(volume.id, to)).operationId);
    assert.deepEqual([(await get(volume.id)).poolName, await movesOf()], [to, []]);
  }
});

test('what an instance has is moved, and detached afterwards', async () => {
  const instance = await cloud.launch('holder');
  const volume = await aVolume('attached', { instance: 'holder' });
  const attached = await attachVolume(cloud.deps, cloud.operator, instance.id, { volume: volume.id });
  await cloud.succeeded(attached.operationId);
  const { operationId } = await move(volume.id, 'fast');
  await cloud.succeeded(operationId);
  assert.deepEqual([(await get(volume.id)).poolName, (await get(volume.id)).state], ['fast', 'in-use']);
  const detached = await detachVolume(cloud.deps, cloud.operator, instance.id, volume.id);
  await cloud.succeeded(detached.operationId);
});

test('while a volume of an instance moves it has no snapshot, no hibernation and keeps the volume', async () => {
  const instance = await cloud.launch('busy');
  const volume = await aVolume('busy-data', { instance: 'busy' });
  const attached = await attachVolume(cloud.deps, cloud.operator, instance.id, { volume: volume.id });
  await cloud.succeeded(attached.operationId);
  const host = cloud.host((await get(volume.id)).hostName === 'host-1' ? 0 : 1);
  host.failNext('move-copy', 'HostUnavailable', { times: 1000 });
  const { operationId } = await move(volume.id, 'fast');
  const refused = { code: 'Conflict', message: /being moved to the pool fast/ };
  await assert.rejects(hibernateInstance(cloud.deps, cloud.operator, instance.id), refused);
  await assert.rejects(createSnapshot(cloud.deps, cloud.operator, { instance: 'busy' }), refused);
  await assert.rejects(cloneInstance(cloud.deps, cloud.operator, instance.id, { name: 'busy-too' }), refused);
  await assert.rejects(detachVolume(cloud.deps, cloud.operator, instance.id, volume.id), refused);
  await cancelVolumeMove(cloud.deps, cloud.operator, volume.id);
  host.stopFailing();
  await cloud.failed(operationId);
  const taken = await createSnapshot(cloud.deps, cloud.operator, { instance: 'busy' });
  await cloud.succeeded(taken.operationId);
  await assert.rejects(move(volume.id, 'fast'), { code: 'Conflict', message: /rests on the volume/ });
});

test('what cannot be moved is refused before anything changes', async () => {
  const volume = await aVolume('fixed');
  await assert.rejects(move(volume.id, 'nowhere'), { code: 'NotFound', field: '/pool' });
  await assert.rejects(move(volume.id, 'elsewhere'), { code: 'NotFound', field: '/pool' });
  await assert.rejects(move(volume.id, 'local'), { code: 'InvalidArgument', field: '/pool' });
  await assert.rejects(move(newId('volume'), 'fast'), { code: 'NotFound' });
  const encrypted = await aVolume('sealed', { encrypted: true });
  await assert.rejects(move(encrypted.id, 'fast', { format: 'raw' }), { code: 'InvalidArgument' });
  await cloud.succeeded((await move(encrypted.id, 'fast')).operationId);
  assert.equal((await onHost(encrypted.id))?.encrypted, true);
});

test('a move that no row knows of is taken back on its host', async () => {
  const volume = await aVolume('stray');
  const seen = (await onHost(volume.id))!;
  const { usedBytes: _, intact: __, encrypted: ___, poolId: ____, ...known } = seen;
  const pool = (await cloud.host().listPools(cloud.deps.cloudId)).find(({ failure }) => failure === null)!;
  const place = { driver: 'directory', path: '/srv/fast' } as const;
  const { id, cloudId, generation } = pool;
  await cloud.host().copyVolume({
    token: randomUUID(),
    volume: {
      ...known,
      generation: known.generation + 1,
      mustExist: true,
      pool: { id, cloudId, generation, name: 'fast', mustExist: true, place },
    },
    holder: null,
  });
  await until('it has ended', async () => (await movesOf()).length === 0);
  assert.deepEqual(await get(volume.id), volume);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { PoolId, VolumeId } from '@virga/contract/ids';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import type { CreatePool } from '@virga/contract/rest/pools';
import type { CreateVolume } from '@virga/contract/rest/volumes';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { createBackup } from '../backups/backup-operations.ts';
import { restoreBackup } from '../backups/restore-operations.ts';
import { createBackupSchedule } from '../backups/schedule-operations.ts';
import { createBackupStore } from '../backups/store-operations.ts';
import { createInstanceType } from '../hosts/instance-type-operations.ts';
import { deleteImage } from '../images/image-operations.ts';
import { attachVolume } from '../instances/attach-volume.ts';
import { createImageOf, lintInstance } from '../instances/image-of-instance.ts';
import { deleteInstance, getInstance, launchInstance, stopInstance } from '../instances/instance-operations.ts';
import { releaseInstance } from '../instances/release-instance.ts';
import { resizeInstance } from '../instances/resize-instance.ts';
import { cloneInstance } from '../snapshots/clone-operations.ts';
import { createSnapshot, deleteSnapshot } from '../snapshots/snapshot-operations.ts';
import { createSnapshotSchedule } from '../snapshots/snapshot-schedules.ts';
import { createVolume } from '../volumes/create-volume.ts';
import { updateVolume } from '../volumes/update-volume.ts';
import { deleteVolume, getVolume, resizeVolume } from '../volumes/volume-operations.ts';
import { createVolumeType, deleteVolumeType, listVolumeTypes } from '../volumes/volume-type-operations.ts';
import { createPool, deletePool, getPool, listPools, updatePool } from './pool-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({
    hosts: [{}, {}],
    settings: { resyncPeriodMs: 300, reconcilePeriodMs: 300, factsPeriodMs: 100 },
  });
  await cloud.prepare();
});
after(() => cloud.close());

const gibibyte = 1024 ** 3;
const pool = (id: PoolId) => getPool(cloud.deps.db, cloud.operator, id);
const volume = (id: VolumeId) => getVolume(cloud.deps.db, cloud.operator, id);
const create = (name: string, more: Partial<CreateVolume> = {}) =>
  createVolume(cloud.deps, cloud.operator, { name, sizeGib: 1, ...more } as CreateVolume);
const remove = async (id: VolumeId, options: { wipe?: boolean } = {}) =>
  cloud.succeeded((await deleteVolume(cloud.deps, cloud.operator, id, undefined, options)).operationId);
const events = async (resourceId: string) =>
  (await cloud.deps.db.selectFrom('events').select('type').where('resource_id', '=', resourceId).execute()).map(
    ({ type }) => type,
  );

/** A pool that its hosts have opened. */
async function openPool(name: string, more: Partial<CreatePool> = {}) {
  const body = { name, driver: 'directory', path: `/mnt/${name}`, ...more } as CreatePool;
  const { pool, operationId } = await createPool(cloud.deps, cloud.administrator, body);
  await cloud.succeeded(operationId);
  return pool.id;
}

async function removePool(id: PoolId) {
  await cloud.succeeded((await deletePool(cloud.deps, cloud.administrator, id)).operationId);
  await assert.rejects(pool(id), { code: 'NotFound' });
}

test('the storage of each host is its pool local, whose room is told and which nobody deletes', async () => {
  const { items } = await listPools(cloud.deps.db, cloud.operator, { name: 'local' });
  assert.deepEqual(items.map(({ hosts }) => hosts.map(({ hostName }) => hostName)).sort(), [['host-1'], ['host-2']]);
  const [local] = items;
  await until('its room is known', async () => ((await pool(local!.id)).capacityBytes ?? 0) > 0);
  await until('so is what it can do', async () => (await pool(local!.id)).hosts[0]?.abilities?.reflink === true);
  await assert.rejects(deletePool(cloud.deps, cloud.administrator, local!.id), { code: 'Conflict' });
  const { volume: made, operationId } = await create('own', { host: local!.hosts[0]!.hostName });
  await cloud.succeeded(operationId);
  assert.deepEqual([made.poolId, made.poolName], [local!.id, 'local']);
  await until('it counts', async () => (await pool(local!.id)).allocatedBytes >= gibibyte);
  await remove(made.id);
});

test('the room of a host is known from when the host first tells of itself', async () => {
  const other = await SimulatedCloud.start({ settings: { factsPeriodMs: 3_600_000 } });
  try {
    await until('its room is known', async () => {
      const { items } = await listPools(other.deps.db, other.operator, { name: 'local' });
      return (items[0]?.capacityBytes ?? 0) > 0;
    });
  } finally {
    await other.close();
  }
});

test('a volume lies in the pool that is named, which stays as long as it is there', async () => {
  const id = await openPool('fast', { hosts: ['host-1'] });
  const { volume: made, operationId } = await create('in-pool', { pool: 'fast', format: 'raw' });
  await cloud.succeeded(operationId);
  assert.deepEqual([made.poolId, made.hostName, made.format], [id, 'host-1', 'raw']);
  const seen = (await cloud.host(0).listVolumes(cloud.deps.cloudId)).find((one) => one.id === made.id);
  assert.equal(seen?.poolId, id);
  assert.ok(((await volume(made.id)).usedBytes ?? 0) > 0);
  await assert.rejects(deletePool(cloud.deps, cloud.administrator, id), { code: 'InUse' });
  await assert.rejects(create('elsewhere', { pool: 'fast', host: 'host-2' }), { code: 'NotFound', field: '/pool' });
  await remove(made.id, { wipe: true });
  await removePool(id);
  assert.deepEqual(await cloud.host(0).listPools(cloud.deps.cloudId), []);
});

test('what is promised of a pool does not exceed what may be, and what is taken at once must be free', async () => {
  cloud.host(0).sizePools(10 * gibibyte);
  const id = await openPool('small', { hosts: ['host-1'], overcommit: 1.5 });
  await until('its size is known', async () => (await pool(id)).capacityBytes === 10 * gibibyte);
  const { volume: made, operationId } = await create('half', { pool: 'small', sizeGib: 8 });
  await cloud.succeeded(operationId);
  await assert.rejects(create('too-much', { pool: 'small', sizeGib: 8 }), {
    code: 'StorageFull',
    field: '/sizeGib',
    detail: 'Pool small has 10 GiB, of which 1.5 times as much may be promised; 8 GiB are, and 8 GiB more do not fit.',
  });
  await assert.rejects(resizeVolume(cloud.deps, cloud.operator, made.id, { sizeGib: 16 }), { code: 'StorageFull' });
  await updatePool(cloud.deps, cloud.administrator, id, { overcommit: null });
  await assert.rejects(create('at-once', { pool: 'small', sizeGib: 11, preallocation: 'full' }), {
    code: 'StorageFull',
  });
  await cloud.succeeded((await resizeVolume(cloud.deps, cloud.operator, made.id, { sizeGib: 16 })).operationId);
  await remove(made.id);
  await removePool(id);
  cloud.host(0).sizePools(1024 * gibibyte);
});

test('a pool that is low on space raises an alarm once, and ends it when there is room again', async () => {
  cloud.host(0).sizePools(10 * gibibyte);
  const id = await openPool('filling', { hosts: ['host-1'], lowSpacePercent: 20 });
  const { volume: made, operationId } = await create('large', { pool: 'filling', sizeGib: 9, preallocation: 'falloc' });
  await cloud.succeeded(operationId);
  await until('the alarm is raised', async () => (await pool(id)).isLow);
  await remove(made.id);
  await until('it is over', async () => !(await pool(id)).isLow);
  const told = (await events(id)).filter((type) => type.includes('space'));
  assert.deepEqual(told.sort(), ['pool.low-space', 'pool.space-again']);
  await removePool(id);
  cloud.host(0).sizePools(1024 * gibibyte);
});

test('a pool that a host cannot use says why, and is used when it can be', async () => {
  const body = { name: 'wrong', driver: 'directory', path: 'relative', hosts: ['host-1'] } satisfies CreatePool;
  const { pool: made, operationId } = await createPool(cloud.deps, cloud.administrator, body);
  const { id } = made;
  const why = await cloud.failed(operationId);
  assert.equal(why.code, 'PoolUnusable');
  assert.match(why.detail, /^Pool wrong cannot be used on host host-1: There is no such folder/);
  const refused = await pool(id);
  assert.equal(refused.state, 'unavailable');
  assert.match(refused.stateReason ?? '', /no such folder/);
  await assert.rejects(create('nowhere', { pool: 'wrong' }), { code: 'PoolUnusable', field: '/pool' });
  await removePool(id);
  const away = await openPool('away', { hosts: ['host-1'] });
  cloud.host(0).unmountPool(away);
  await until('it is seen to be away', async () => (await pool(away)).state === 'unavailable');
  cloud.host(0).mountPool(away);
  await until('it is back', async () => (await pool(away)).state === 'ready');
  await until('both were told', async () => (await events(away)).filter((type) => type === 'pool.ready').length === 2);
  await removePool(away);
});

test('two pools of one host never lie in each other, and those of two hosts may', async () => {
  const id = await openPool('outer', { hosts: ['host-1'], path: '/srv/outer/' });
  assert.equal((await pool(id)).path, '/srv/outer', 'as a shell completes it');
  const place = (path: string, host = 'host-1') =>
    createPool(cloud.deps, cloud.administrator, { name: 'other', driver: 'directory', path, hosts: [host] });
  for (const path of ['/srv/outer', '/srv/outer/', '/srv/outer/within', '/srv']) {
    await assert.rejects(place(path), { code: 'Conflict', field: '/path' }, path);
  }
  await removePool((await place('/srv/outer-2')).pool.id);
  await removePool((await place('/srv', 'host-2')).pool.id);
  await removePool(id);
});

test('the key of a Ceph pool is told to its hosts and to nobody else', async () => {
  const key = 'AQBzZWNyZXRzZWNyZXRzZWNyZXRzZWNyZXQ=';
  const ceph = { monitors: ['10.0.0.1'], pool: 'rbd', user: 'virga', key };
  const id = await openPool('ceph', { driver: 'rbd', path: undefined, ceph });
  const told = await pool(id);
  assert.deepEqual(told.ceph, { monitors: ['10.0.0.1'], pool: 'rbd', user: 'virga' });
  assert.ok(!JSON.stringify(await cloud.deps.db.selectFrom('pools').selectAll().execute()).includes(key));
  assert.ok(!JSON.stringify(await cloud.deps.db.selectFrom('events').selectAll().execute()).includes(key));
  const { volume: made, operationId } = await create('in-ceph', { pool: 'ceph', encrypted: true });
  await cloud.succeeded(operationId);
  assert.deepEqual([made.format, made.encrypted], ['raw', true]);
  await assert.rejects(create('wrong', { pool: 'ceph', clone: 'linked', image: 'disk' }), { field: '/clone' });
  const wiped = await deleteVolume(cloud.deps, cloud.operator, made.id, undefined, { wipe: true });
  await cloud.succeeded(wiped.operationId);
  await removePool(id);
});

test('a volume in a pool that several hosts see goes with its instance', async () => {
  const id = await openPool('shared', { driver: 'shared-directory' });
  const instance = await cloud.launch('shared-guest');
  const other = instance.hostName === 'host-1' ? 'host-2' : 'host-1';
  const { volume: made, operationId } = await create('wandering', { pool: 'shared', host: other });
  await cloud.succeeded(operationId);
  const attached = await attachVolume(cloud.deps, cloud.operator, instance.id, { volume: made.id });
  assert.equal((await volume(made.id)).hostName, instance.hostName);
  assert.ok(attached.operationId);
  assert.equal((await pool(id)).hosts.length, 2);
});

test('a root disk lies in the pool that the launch names, on a host that has it, and counts there', async () => {
  const id = await openPool('roots', { hosts: ['host-2'], overcommit: 1 });
  cloud.host(1).sizePools(1024 * gibibyte);
  const launch = (name: string, more: object = {}) =>
    launchInstance(cloud.deps, cloud.operator, { name, image: 'disk', type: 'tiny', pool: 'roots', ...more });
  const { instance, operationId } = await launch('rooted');
  await cloud.succeeded(operationId);
  assert.deepEqual([instance.rootPoolId, instance.rootPoolName, instance.hostName], [id, 'roots', 'host-2']);
  assert.equal((await pool(id)).allocatedBytes, instance.diskBytes);
  await until('its size is known', async () => (await pool(id)).capacityBytes === 1024 * gibibyte);
  await assert.rejects(launch('too-large', { diskGib: 2000 }), { code: 'StorageFull', field: '/diskGib' });
  const grown = resizeInstance(cloud.deps, cloud.operator, instance.id, { diskGib: 2000 });
  await assert.rejects(grown, { code: 'StorageFull', field: '/diskGib' });
  await assert.rejects(launch('nowhere', { pool: 'none' }), { code: 'NotFound', field: '/pool' });
  await assert.rejects(deletePool(cloud.deps, cloud.administrator, id), { code: 'InUse' });
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, instance.id)).operationId);
  await removePool(id);
});

test('a root disk in a Ceph pool rests on a copy of its image, which has a row before it is there and goes when unneeded', async () => {
  const ceph = { monitors: ['10.0.0.1'], pool: 'roots', user: 'virga', key: Buffer.alloc(28).toString('base64') };
  const id = await openPool('ceph-roots', { driver: 'rbd', path: undefined, ceph, hosts: ['host-1'] });
  const { db, cloudId } = cloud.deps;
  const rows = () => db.selectFrom('image_copies').selectAll().where('pool_id', '=', id).execute();
  const copies = async () => (await cloud.host(0).listImageCopies(cloudId)).filter(({ poolId }) => poolId === id);
  const launch = (name: string, more: Partial<LaunchInstance> = {}) =>
    launchInstance(cloud.deps, cloud.operator, { name, image: 'disk', type: 'tiny', pool: 'ceph-roots', ...more });
  const remove = async (instance: Instance) =>
    cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, instance.id)).operationId);

  const full = await launch('ceph-full', { clone: 'full' });
  await cloud.succeeded(full.operationId);
  assert.deepEqual([await rows(), await copies()], [[], []]);
  assert.equal((await pool(id)).allocatedBytes, full.instance.diskBytes);
  const linked = await launch('ceph-linked');
  assert.equal((await rows()).length, 1, 'with the launch, before its host has heard of it');
  await cloud.succeeded(linked.operationId);
  assert.deepEqual([linked.instance.rootPoolId, linked.instance.hostName], [id, 'host-1']);
  assert.equal((await copies()).length, 1);
  const { virtual_size_bytes: imageBytes } = await db
    .selectFrom('images')
    .select('virtual_size_bytes')
    .where('name', '=', 'disk')
    .executeTakeFirstOrThrow();
  const { diskBytes } = linked.instance;
  assert.equal((await pool(id)).allocatedBytes, full.instance.diskBytes + diskBytes + imageBytes!);

  const isInCeph = { code: 'Conflict', detail: /ceph-linked lies in the Ceph pool ceph-roots/ };
  const { id: instanceId } = linked.instance;
  await assert.rejects(releaseInstance(cloud.deps, cloud.operator, instanceId), isInCeph);
  await createSnapshotSchedule(cloud.deps, cloud.operator, instanceId, { cron: '0 3 * * *', keep: 1 });
  const { snapshot, operationId } = await createSnapshot(cloud.deps, cloud.operator, { instance: 'ceph-linked' });
  await cloud.succeeded(operationId);
  for (const isFull of [false, true]) {
    const copied = await cloneInstance(cloud.deps, cloud.operator, instanceId, { name: 'copy', full: isFull });
    await cloud.succeeded(copied.operationId);
    const copy = await getInstance(db, cloud.operator, copied.instanceId);
    assert.deepEqual([copy.rootPoolId, copy.hostName], [id, 'host-1'], 'a clone lies where the original does');
    const promised = full.instance.diskBytes + 2 * diskBytes + imageBytes!;
    assert.equal((await pool(id)).allocatedBytes, promised);
    await remove(copy);
  }
  await cloud.succeeded((await deleteSnapshot(cloud.deps, cloud.operator, snapshot.id)).operationId);
  const kept = db.selectFrom('snapshots').select('id').where('instance_id', '=', instanceId);
  await until('what the clones needed has gone', async () => (await kept.execute()).length === 0);
  const store = await createBackupStore(cloud.deps, cloud.administrator, {
    name: 'of-roots',
    path: '/stores/of-roots',
  });
  await cloud.succeeded(store.operationId);
  const backedUp = { instance: 'ceph-linked', store: 'of-roots' };
  await createBackupSchedule(cloud.deps, cloud.operator, { ...backedUp, cron: '0 3 * * *' });
  const made = await createBackup(cloud.deps, cloud.operator, backedUp);
  await cloud.succeeded(made.operationId);
  const restore = (body: Parameters<typeof restoreBackup>[3]) =>
    restoreBackup(cloud.deps, cloud.operator, made.backup.id, body);
  await assert.rejects(restore({ name: 'again', pool: 'nowhere' }), { code: 'NotFound', field: '/pool' });
  const again = await restore({ name: 'again', pool: 'ceph-roots' });
  await cloud.succeeded(again.operationId);
  const restored = await getInstance(db, cloud.operator, again.instanceId);
  assert.deepEqual([restored.rootPoolId, restored.hostName], [id, 'host-1']);
  await remove(restored);
  const stopped = await stopInstance(cloud.deps, cloud.operator, instanceId, { timeoutSeconds: 0 });
  await cloud.succeeded(stopped.operationId);
  await cloud.succeeded((await restore({ inPlace: true })).operationId);
  const image = await createImageOf(cloud.deps, cloud.operator, instanceId, { name: 'of-ceph' });
  await cloud.succeeded(image.operationId);
  assert.ok(await lintInstance(cloud.deps, cloud.operator, instanceId));

  const long = new Date(Date.now() - 7_200_000);
  const forget = () => db.updateTable('image_copies').set({ needed_at: long }).where('pool_id', '=', id).execute();
  await forget();
  await until('it is needed', async () => (await rows())[0]!.needed_at > long);
  await db.deleteFrom('image_copies').where('pool_id', '=', id).execute();
  await until('a row that was lost is written again', async () => (await rows()).length === 1);
  await remove(linked.instance);
  assert.equal((await copies()).length, 1, 'the next launch has it');
  await forget();
  await until('nobody needs it any more', async () => (await copies()).length === 0 && (await rows()).length === 0);
  await remove(full.instance);
  await removePool(id);
});

test('a type names the pool of root disks, and a launch goes where that has room', async () => {
  for (const index of [0, 1]) cloud.host(index).sizePools(100 * gibibyte);
  const [one, other] = [
    await openPool('wide', { hosts: ['host-1'], path: '/mnt/wide', overcommit: 1 }),
    await openPool('wide', { hosts: ['host-2'], path: '/mnt/wide', overcommit: 1 }),
  ];
  for (const id of [one, other]) {
    await until('its size is known', async () => (await pool(id)).capacityBytes === 100 * gibibyte);
  }
  const type = { name: 'wide', vcpus: 1, memoryMib: 256, diskGib: 60, pool: 'wide' };
  await createInstanceType(cloud.deps.db, cloud.administrator, type);
  const launch = (name: string) => launchInstance(cloud.deps, cloud.operator, { name, image: 'disk', type: 'wide' });
  const launched = [await launch('wide-1'), await launch('wide-2')];
  for (const { operationId } of launched) await cloud.succeeded(operationId);
  assert.deepEqual(launched.map(({ instance }) => instance.rootPoolId).sort(), [one, other].sort());
  await assert.rejects(launch('wide-3'), { code: 'StorageFull', field: '/diskGib' });
  for (const { instance } of launched) {
    await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, instance.id)).operationId);
  }
  for (const id of [one, other]) await removePool(id);
  for (const index of [0, 1]) cloud.host(index).sizePools(1024 * gibibyte);
});

test('a name, protection and a type are given to a volume, which keeps the limits of its type', async () => {
  const type = { name: 'gold', limits: { iops: 500, burstIops: 900 }, encrypted: true };
  await createVolumeType(cloud.deps, cloud.administrator, type);
  await assert.rejects(createVolumeType(cloud.deps, cloud.administrator, type), { code: 'NameTaken' });
  assert.deepEqual((await listVolumeTypes(cloud.deps.db, cloud.operator)).items, [type]);
  for (const [wrong, code, field] of [
    [{ pool: 'nothing' }, 'NotFound', '/pool'],
    [{ limits: { burstIops: 900 } }, 'InvalidArgument', '/limits/burstIops'],
    [{ limits: { iops: 500, burstIops: 100 } }, 'InvalidArgument', '/limits/burstIops'],
  ] as const) {
    const made = createVolumeType(cloud.deps, cloud.administrator, { name: 'wrong', ...wrong });
    await assert.rejects(made, { code, field });
  }
  const instance = await cloud.launch('gold-guest');
  const { volume: made, operationId } = await create('before', { type: 'gold', instance: 'gold-guest' });
  await cloud.succeeded(operationId);
  assert.deepEqual([made.encrypted, made.type, made.limits], [true, 'gold', type.limits]);
  await deleteVolumeType(cloud.deps, cloud.administrator, 'gold');
  await cloud.succeeded((await updateVolume(cloud.deps, cloud.operator, made.id, { name: 'after' })).operationId);
  await cloud.succeeded(
    (await updateVolume(cloud.deps, cloud.operator, made.id, { deletionProtection: true })).operationId,
  );
  const onHost = (await Promise.all([0, 1].map((host) => cloud.host(host).listVolumes(cloud.deps.cloudId)))).flat();
  assert.equal(onHost.find((one) => one.id === made.id)?.name, 'after');
  await assert.rejects(deleteVolume(cloud.deps, cloud.operator, made.id), { code: 'Conflict', detail: /protected/ });
  await cloud.succeeded((await attachVolume(cloud.deps, cloud.operator, instance.id, { volume: 'after' })).operationId);
  assert.deepEqual((await volume(made.id)).attachment?.limits, type.limits);
  const taken = await createSnapshot(cloud.deps, cloud.operator, { instance: 'gold-guest' });
  await cloud.succeeded(taken.operationId);
});

test('a copy of an image has its size, and a linked one keeps the image', async () => {
  const { volume: made, operationId } = await create('linked', { image: 'disk', sizeGib: undefined, clone: 'linked' });
  await cloud.succeeded(operationId);
  assert.equal(made.image?.clone, 'linked');
  await assert.rejects(deleteImage(cloud.deps, cloud.operator, made.image!.imageId), { code: 'InUse' });
  await remove(made.id);
});

test('what does not go together is refused with its field', async () => {
  const refused = (more: Partial<CreateVolume>, field: string) =>
    assert.rejects(create('wrong', more), { code: 'InvalidArgument', field });
  await refused({ sizeGib: undefined }, '/sizeGib');
  await refused({ format: 'raw', encrypted: true }, '/encrypted');
  await refused({ format: 'raw', preallocation: 'metadata' }, '/preallocation');
  await refused({ clone: 'full' }, '/clone');
  await refused({ image: 'disk', clone: 'linked', format: 'raw' }, '/clone');
  await refused({ image: 'disk', clone: 'linked', encrypted: true }, '/clone');
  await assert.rejects(create('wrong', { type: 'none' }), { code: 'NotFound', field: '/type' });
  await assert.rejects(create('wrong', { pool: 'none' }), { code: 'NotFound', field: '/pool' });
  const two = { name: 'two', driver: 'directory', path: '/mnt/two' } as const;
  await assert.rejects(createPool(cloud.deps, cloud.administrator, two), { code: 'InvalidArgument', field: '/hosts' });
});

// What is made of snapshots beside instances: volumes by themselves, and those of clones.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId, VolumeId } from '@virga/contract/ids';
import type { CloneInstance } from '@virga/contract/rest/snapshots';
import type { CreateVolume } from '@virga/contract/rest/volumes';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { attachVolume, detachVolume } from '../instances/attach-volume.ts';
import { deleteInstance, stopInstance } from '../instances/instance-operations.ts';
import { createVolume } from '../volumes/create-volume.ts';
import { deleteVolume, getVolume, listVolumes } from '../volumes/volume-operations.ts';
import { cloneInstance } from './clone-operations.ts';
import { revertSnapshot } from './revert-operations.ts';
import { createSnapshot, deleteSnapshot } from './snapshot-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: [{}, {}], settings: { reconcilePeriodMs: 200, resyncPeriodMs: 300 } });
  await cloud.prepare();
});
after(() => cloud.close());

const gibibyte = 1024 ** 3;
const volume = (id: VolumeId) => getVolume(cloud.deps.db, cloud.operator, id);
const names = async () => (await listVolumes(cloud.deps.db, cloud.operator, {})).items.map(({ name }) => name);
const hosts = () => [cloud.host(0), cloud.host(1)];
const onHosts = async (what: 'listVolumes' | 'listSnapshots') =>
  (await Promise.all(hosts().map((host) => host[what](cloud.deps.cloudId)))).flat().map(({ id }) => id);
const create = (name: string, more: Partial<CreateVolume>) =>
  createVolume(cloud.deps, cloud.operator, { name, ...more });
const removeVolume = async (id: VolumeId) =>
  cloud.succeeded((await deleteVolume(cloud.deps, cloud.operator, id)).operationId);
const remove = async (id: InstanceId) =>
  cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
const clone = (id: InstanceId, body: CloneInstance) => cloneInstance(cloud.deps, cloud.operator, id, body);
async function take(instance: string, name: string) {
  const { snapshot, operationId } = await createSnapshot(cloud.deps, cloud.operator, { instance, name });
  await cloud.succeeded(operationId);
  return snapshot.id;
}
const drop = async (id: Awaited<ReturnType<typeof take>>) =>
  cloud.succeeded((await deleteSnapshot(cloud.deps, cloud.operator, id)).operationId);

/** An instance with a volume of 2 GiB. */
async function withVolume(name: string, volumeName: string, { readOnly = false, encrypted = false } = {}) {
  const instance = await cloud.launch(name);
  const form = encrypted ? { encrypted } : { format: 'raw' as const };
  const made = await create(volumeName, { sizeGib: 2, instance: name, ...form });
  await cloud.succeeded(made.operationId);
  const body = { volume: volumeName, readOnly, limits: { iops: 500 } };
  await cloud.succeeded((await attachVolume(cloud.deps, cloud.operator, instance.id, body)).operationId);
  return { instance, volumeId: made.volume.id };
}

test('a volume is made of any disk of a snapshot, on its host, and needs it no longer', async () => {
  const { instance, volumeId } = await withVolume('web', 'data');
  const snapshotId = await take('web', 'before');
  const other = cloud.deps.agents.all().find(({ id }) => id !== instance.hostId)!.name;
  for (const [body, code, field] of [
    [{ snapshot: 'nothing' }, 'NotFound', '/snapshot'],
    [{ snapshot: 'before', disk: 'vdz' }, 'NotFound', '/disk'],
    [{ disk: 'vdc', sizeGib: 1 }, 'InvalidArgument', '/disk'],
    [{ snapshot: 'before', image: 'disk' }, 'InvalidArgument', '/snapshot'],
    [{ snapshot: 'before', clone: 'linked' }, 'InvalidArgument', '/clone'],
    [{ snapshot: 'before', host: other }, 'InvalidArgument', '/host'],
    [{ snapshot: 'before', disk: 'vdc', sizeGib: 1 }, 'InvalidArgument', '/sizeGib'],
    [{ snapshot: 'before', format: 'raw', encrypted: true }, 'InvalidArgument', '/encrypted'],
  ] as const) {
    await assert.rejects(create('copy', body), { code, field }, JSON.stringify(body));
  }
  const later = await take('web', 'later');
  const copies = [];
  for (const [name, more] of [
    ['root', {}],
    ['by-place', { disk: 'vdc' }],
    ['by-id', { disk: volumeId, sizeGib: 3 }],
    ['by-name', { disk: 'data', encrypted: true }],
  ] as const) {
    const made = await create(name, { snapshot: 'before', ...more });
    await cloud.succeeded(made.operationId);
    copies.push(await volume(made.volume.id));
  }
  assert.deepEqual(
    copies.map(({ name, sizeBytes, snapshot, hostId }) => [name, sizeBytes, snapshot?.diskId, hostId]),
    [
      ['root', instance.diskBytes, instance.rootDiskId, instance.hostId],
      ['by-place', 2 * gibibyte, volumeId, instance.hostId],
      ['by-id', 3 * gibibyte, volumeId, instance.hostId],
      ['by-name', 2 * gibibyte, volumeId, instance.hostId],
    ],
  );
  await drop(snapshotId);
  await drop(later);
  await remove(instance.id);
  assert.deepEqual((await onHosts('listVolumes')).toSorted(), [...copies.map(({ id }) => id), volumeId].toSorted());
  for (const { id } of [...copies, { id: volumeId }]) await removeVolume(id);
});

test('a snapshot that a volume is being made of stays until that is there, and so does its instance', async () => {
  const { instance, volumeId } = await withVolume('web', 'data');
  const snapshotId = await take('web', 'before');
  const reached = cloud.freezeAt('volume-copy');
  const { volume: copy, operationId } = await create('copy', { snapshot: 'before', disk: 'data' });
  await reached;
  await assert.rejects(deleteInstance(cloud.deps, cloud.operator, instance.id), { code: 'InUse' });
  // Its name goes at once.
  await drop(snapshotId);
  await assert.rejects(create('another', { snapshot: 'before' }), { code: 'NotFound', field: '/snapshot' });
  assert.deepEqual(await onHosts('listSnapshots'), [snapshotId]);
  await cloud.kill();
  await cloud.startAgain();
  await cloud.succeeded(operationId);
  await until('the snapshot has gone', async () => (await onHosts('listSnapshots')).length === 0);
  await remove(instance.id);
  for (const id of [copy.id, volumeId]) await removeVolume(id);
});

test('many copies hold up no other volume', async () => {
  const { instance, volumeId } = await withVolume('web', 'data');
  const snapshotId = await take('web', 'before');
  const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
  const held = numbers.map(() => cloud.freezeAt('volume-copy'));
  const copies = [];
  for (const number of numbers) copies.push(await create(`copy-${number}`, { snapshot: 'before' }));
  await Promise.all(held.slice(0, 4));
  const other = await create('other', { sizeGib: 1, instance: 'web' });
  await cloud.succeeded(other.operationId);
  await cloud.kill();
  await cloud.startAgain();
  for (const { operationId } of copies) await cloud.succeeded(operationId);
  for (const { volume: made } of [...copies, other]) await removeVolume(made.id);
  await drop(snapshotId);
  await remove(instance.id);
  await removeVolume(volumeId);
});

test('a clone has copies of the volumes, of the same moment and at the same places', async () => {
  const { instance, volumeId } = await withVolume('web', 'web-data');
  const made = [];
  for (const [name, more] of [
    ['linked', {}],
    ['full', { full: true, start: false }],
  ] as const) {
    const { instanceId, operationId } = await clone(instance.id, { name, ...more });
    await cloud.succeeded(operationId);
    const { volumes, state } = await cloud.instance(instanceId);
    assert.equal(state, name === 'linked' ? 'running' : 'stopped');
    const told = await cloud.deps.db
      .selectFrom('events')
      .select('type')
      .where('resource_id', '=', instanceId)
      .execute();
    assert.equal(
      told.some(({ type }) => type === 'instance.started'),
      state === 'running',
    );
    assert.deepEqual(
      volumes.map(({ name: called, target, readOnly, limits }) => [called, target, readOnly, limits]),
      [[`${name}-data`, 'vdc', false, { iops: 500 }]],
    );
    const copy = await volume(volumes[0]!.id);
    assert.notEqual(copy.id, volumeId);
    assert.deepEqual(
      [copy.sizeBytes, copy.format, copy.state, copy.snapshot?.diskId],
      [2 * gibibyte, 'raw', 'in-use', volumeId],
    );
    made.push({ instanceId, volumeId: copy.id });
  }
  // Of then, though it has another one now, and that one elsewhere.
  await take('web', 'before');
  await cloud.succeeded((await detachVolume(cloud.deps, cloud.operator, instance.id, volumeId)).operationId);
  const bare = await clone(instance.id, { name: 'bare', snapshot: 'before', volumes: false });
  const yesterday = await clone(instance.id, { name: 'yesterday', snapshot: 'before' });
  for (const { operationId } of [bare, yesterday]) await cloud.succeeded(operationId);
  assert.deepEqual((await cloud.instance(bare.instanceId)).volumes, []);
  const [old] = (await cloud.instance(yesterday.instanceId)).volumes;
  assert.deepEqual([old?.name, old?.target], ['yesterday-data', 'vdc']);
  made.push({ instanceId: yesterday.instanceId, volumeId: old!.id });
  // A volume outlives its instance, that of a linked clone too.
  for (const one of [...made, { instanceId: bare.instanceId }]) await remove(one.instanceId);
  await remove(instance.id);
  await until('what they rested on is gone', async () => (await onHosts('listSnapshots')).length === 0);
  for (const one of [...made, { volumeId }]) await removeVolume(one.volumeId);
  await cloud.assertNothingLeft();
});

test('copies of what is encrypted have keys of their own, also after their host has forgotten the one of the original', async () => {
  const { instance } = await withVolume('web', 'data', { encrypted: true });
  await take('web', 'before');
  const forgetKeys = async () => {
    await cloud.kill();
    await cloud.startAgain();
  };
  await forgetKeys();
  const later = await take('web', 'later');
  await forgetKeys();
  const copy = await create('copy', { snapshot: 'before', disk: 'data' });
  await cloud.succeeded(copy.operationId);
  await assert.rejects(create('raw', { snapshot: 'before', disk: 'data', format: 'raw' }), { field: '/encrypted' });
  const open = await create('open', { snapshot: 'before', disk: 'data', format: 'raw', encrypted: false });
  await cloud.succeeded(open.operationId);
  assert.deepEqual([copy.volume.encrypted, open.volume.encrypted], [true, false]);
  const clones: InstanceId[] = [];
  for (const full of [true, false]) {
    await forgetKeys();
    const { instanceId, operationId } = await clone(instance.id, { name: full ? 'full' : 'linked', full });
    await cloud.succeeded(operationId);
    clones.push(instanceId);
  }
  const rows = await cloud.deps.db.selectFrom('volumes').select(['id', 'name', 'passphrase_sealed']).execute();
  const keys = rows.flatMap(({ id, passphrase_sealed: sealed }) => (sealed ? [cloud.deps.seal.open(sealed, id)] : []));
  assert.deepEqual([keys.length, new Set(keys).size], [4, 4], 'the original, its copy, and those of two clones');
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, instance.id)).operationId);
  await forgetKeys();
  await cloud.succeeded((await revertSnapshot(cloud.deps, cloud.operator, later, {})).operationId);
  await forgetKeys();
  await drop(later);
  for (const id of [...clones, instance.id]) await remove(id);
  for (const { id } of rows) await removeVolume(id);
  await cloud.assertNothingLeft();
});

test('a clone whose volumes cannot be made is refused, or leaves nothing', async () => {
  const { instance, volumeId } = await withVolume('web', 'data', { readOnly: true });
  await assert.rejects(clone(instance.id, { name: 'copy' }), { code: 'Conflict', field: '/volumes' });
  assert.deepEqual(await onHosts('listSnapshots'), []);
  await cloud.succeeded((await detachVolume(cloud.deps, cloud.operator, instance.id, volumeId)).operationId);
  await cloud.succeeded((await attachVolume(cloud.deps, cloud.operator, instance.id, { volume: 'data' })).operationId);
  const host = cloud.deps.agents.all().find(({ id }) => id === instance.hostId)!;
  cloud.host(Number(host.name.split('-')[1]) - 1).failNext('volume-copy', 'StorageFull');
  const { instanceId, operationId } = await clone(instance.id, { name: 'copy', full: true });
  assert.equal((await cloud.failed(operationId)).code, 'StorageFull');
  await assert.rejects(cloud.instance(instanceId), { code: 'NotFound' });
  await until('its volume is gone', async () => (await names()).join() === 'data');
  assert.deepEqual([await onHosts('listVolumes'), await onHosts('listSnapshots')], [[volumeId], []]);
  await remove(instance.id);
  await removeVolume(volumeId);
});

test('killed at every step of the volumes of a clone', async () => {
  const { instance, volumeId } = await withVolume('web', 'data');
  for (const point of ['clone-disk', 'volume-copy', 'volume', 'after applyVolume']) {
    const { instanceId } = await cloud.killedAt(point, () => clone(instance.id, { name: 'copy', full: true }));
    const { state, volumes } = await cloud.instance(instanceId);
    assert.deepEqual([state, volumes.map(({ name }) => name)], ['running', ['copy-data']], point);
    await remove(instanceId);
    await removeVolume(volumes[0]!.id);
    await until('what it was made of is gone', async () => (await onHosts('listSnapshots')).length === 0);
    assert.deepEqual(await onHosts('listVolumes'), [volumeId]);
  }
  await remove(instance.id);
  await removeVolume(volumeId);
  await cloud.assertNothingLeft();
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId, SnapshotId } from '@virga/contract/ids';
import type { CreateSnapshot, Snapshot } from '@virga/contract/rest/snapshots';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { attachVolume, detachVolume } from '../instances/attach-volume.ts';
import { deleteInstance, startInstance, stopInstance } from '../instances/instance-operations.ts';
import { hibernateInstance } from '../instances/power-operations.ts';
import { releaseInstance } from '../instances/release-instance.ts';
import { createVolume } from '../volumes/create-volume.ts';
import { deleteVolume } from '../volumes/volume-operations.ts';
import { cloneInstance } from './clone-operations.ts';
import { revertSnapshot } from './revert-operations.ts';
import {
  cancelSnapshotDeletion,
  createSnapshot,
  deleteSnapshot,
  getSnapshot,
  listSnapshots,
  protectSnapshot,
} from './snapshot-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ settings: { reconcilePeriodMs: 200, resyncPeriodMs: 300 } });
  await cloud.prepare();
});
after(() => cloud.close());

const onHost = async () => (await cloud.host().listSnapshots(cloud.deps.cloudId)).map(({ id }) => id);
const get = (id: SnapshotId) => getSnapshot(cloud.deps.db, cloud.operator, id);
async function take(instance: string, more: Partial<CreateSnapshot> = {}): Promise<Snapshot> {
  const { snapshot, operationId } = await createSnapshot(cloud.deps, cloud.operator, { instance, ...more });
  await cloud.succeeded(operationId);
  return get(snapshot.id);
}
const drop = async (id: SnapshotId) =>
  cloud.succeeded((await deleteSnapshot(cloud.deps, cloud.operator, id)).operationId);
const remove = async (id: InstanceId) =>
  cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
const stop = async (id: InstanceId) =>
  cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 0 })).operationId);

test('a snapshot is taken, told, gone back to, and deleted', async () => {
  const { id, rootDiskId, diskBytes } = await cloud.launch('web');
  const taken = await take('web', { name: 'before' });
  assert.deepEqual(
    [taken.state, taken.consistency, taken.instanceName, taken.disks],
    ['available', 'crash', 'web', [{ id: rootDiskId, target: 'vda', sizeBytes: diskBytes }]],
  );
  const unnamed = await take('web');
  assert.match(unnamed.name, /^web-\d{8}-\d{6}$/);
  const named = await listSnapshots(cloud.deps.db, cloud.operator, { instanceId: id });
  assert.deepEqual(
    named.items.map(({ name }) => name),
    ['before', unnamed.name],
  );
  const revert = (more: { restart?: boolean; keepCurrent?: boolean } = {}) =>
    revertSnapshot(cloud.deps, cloud.operator, taken.id, more);
  await assert.rejects(revert(), { code: 'Conflict', field: '/restart' });
  const boots = cloud.host().bootCount(id);
  await cloud.succeeded((await revert({ restart: true, keepCurrent: true })).operationId);
  await until('it runs again', async () => (await cloud.instance(id)).state === 'running');
  assert.equal(cloud.host().bootCount(id), boots + 1);
  assert.equal((await listSnapshots(cloud.deps.db, cloud.operator, { instanceId: id })).items.length, 3);
  await stop(id);
  await cloud.succeeded((await revert()).operationId);
  assert.equal((await cloud.instance(id)).state, 'stopped');
  await cloud.succeeded((await startInstance(cloud.deps, cloud.operator, id)).operationId);
  await drop(taken.id);
  await assert.rejects(get(taken.id), { code: 'NotFound' });
  await remove(id);
  assert.deepEqual(await onHost(), []);
  assert.deepEqual((await listSnapshots(cloud.deps.db, cloud.operator, {})).items, []);
});

test('a guest is put back with its memory, and runs', async () => {
  const { id } = await cloud.launch('web');
  const taken = await take('web', { memory: true });
  assert.equal(taken.consistency, 'memory');
  await stop(id);
  await assert.rejects(createSnapshot(cloud.deps, cloud.operator, { instance: 'web', memory: true }), {
    code: 'Conflict',
    field: '/memory',
  });
  const boots = cloud.host().bootCount(id);
  await cloud.succeeded((await revertSnapshot(cloud.deps, cloud.operator, taken.id, {})).operationId);
  await until('it runs', async () => (await cloud.instance(id)).state === 'running');
  assert.equal(cloud.host().bootCount(id), boots);
  await remove(id);
});

test('what has no snapshots, and what has them, is refused in words', async () => {
  const { id } = await cloud.launch('web');
  await assert.rejects(createSnapshot(cloud.deps, cloud.operator, { instance: 'nobody' }), {
    code: 'NotFound',
    field: '/instance',
  });
  const taken = await take('web', { name: 'one', protected: true });
  await assert.rejects(createSnapshot(cloud.deps, cloud.operator, { instance: 'web', name: 'one' }), {
    code: 'NameTaken',
    field: '/name',
  });
  await assert.rejects(deleteSnapshot(cloud.deps, cloud.operator, taken.id), { code: 'Conflict' });
  await assert.rejects(deleteInstance(cloud.deps, cloud.operator, id), { code: 'Conflict' });
  await assert.rejects(releaseInstance(cloud.deps, cloud.operator, id), { code: 'Conflict' });
  await protectSnapshot(cloud.deps, cloud.operator, taken.id, false);
  await cloud.succeeded((await hibernateInstance(cloud.deps, cloud.operator, id)).operationId);
  await assert.rejects(createSnapshot(cloud.deps, cloud.operator, { instance: 'web' }), { code: 'Conflict' });
  await assert.rejects(revertSnapshot(cloud.deps, cloud.operator, taken.id, { restart: true }), { code: 'Conflict' });
  await remove(id);
});

test('a snapshot is of volumes too: they cannot go before it, nor can an instance without them be put back', async () => {
  const { id } = await cloud.launch('web');
  const { volume, operationId } = await createVolume(cloud.deps, cloud.operator, {
    name: 'data',
    sizeGib: 1,
    instance: 'web',
  });
  await cloud.succeeded(operationId);
  const attach = async () =>
    cloud.succeeded((await attachVolume(cloud.deps, cloud.operator, id, { volume: 'data' })).operationId);
  await attach();
  const taken = await take('web');
  assert.deepEqual(
    taken.disks.map((disk) => disk.id),
    [(await cloud.instance(id)).rootDiskId, volume.id],
  );
  await cloud.succeeded((await detachVolume(cloud.deps, cloud.operator, id, volume.id)).operationId);
  await assert.rejects(deleteVolume(cloud.deps, cloud.operator, volume.id), { code: 'InUse' });
  await assert.rejects(revertSnapshot(cloud.deps, cloud.operator, taken.id, { restart: true }), {
    code: 'Conflict',
    detail: /no longer has data,/,
    action: /virga attach web data$/,
  });
  await drop(taken.id);
  await cloud.succeeded((await deleteVolume(cloud.deps, cloud.operator, volume.id)).operationId);
  await remove(id);
});

/** Guests that are thawed by the clock, whatever becomes of the server. */
const toBeThawed = async () =>
  (await cloud.deps.db.selectFrom('guest_freezes').select('instance_id').execute()).map((row) => row.instance_id);

test('a snapshot that the host refuses is gone again, and its operation says why', async () => {
  const { id } = await cloud.launch('web');
  const calm = await take('web');
  assert.deepEqual(await toBeThawed(), [], 'nothing is left to be thawed of what went well');
  await drop(calm.id);
  cloud.host().failNext('snapshot-act', 'StorageFull');
  const { snapshot, operationId } = await createSnapshot(cloud.deps, cloud.operator, { instance: 'web' });
  assert.equal((await cloud.failed(operationId)).code, 'StorageFull');
  assert.deepEqual(await toBeThawed(), [id], 'it may be frozen still');
  await assert.rejects(get(snapshot.id), { code: 'NotFound' });
  assert.deepEqual(await onHost(), []);
  await remove(id);
});

test('a deletion that is cancelled leaves the snapshot as it was, or ends at once where the merging has begun', async () => {
  const { id } = await cloud.launch('web');
  const taken = await take('web', { name: 'cancelled' });
  const cancel = () => cancelSnapshotDeletion(cloud.deps, cloud.operator, taken.id);
  await assert.rejects(cancel(), { code: 'Conflict' });
  const cancelled = async (at: string, reached: () => Promise<boolean>) => {
    cloud.host().stopFailing();
    cloud.host().failNext(at, 'HostUnavailable', { times: 1_000 });
    const { operationId } = await deleteSnapshot(cloud.deps, cloud.operator, taken.id);
    await until(`it is deleted up to ${at}`, reached);
    assert.equal((await cancel()).operationId, operationId);
    assert.equal((await cancel()).snapshot.state, 'deleting');
    return operationId;
  };
  const seen = async () => (await cloud.host().listSnapshots(cloud.deps.cloudId)).at(0);
  const error = await cloud.failed(await cancelled('snapshot-forget', async () => (await seen())?.intact === true));
  assert.match(error.detail, /is as it was/);
  assert.deepEqual(await get(taken.id), taken);
  await cloud.succeeded(await cancelled('merge-begin', async () => (await seen())?.intact === false));
  cloud.host().stopFailing();
  await assert.rejects(get(taken.id), { code: 'NotFound' });
  assert.deepEqual(await onHost(), []);
  await remove(id);
});

test('a snapshot that no row owns is removed from its host, and one that cannot be holds up no other', async () => {
  const { id } = await cloud.launch('web');
  const [held, other] = [await take('web', { name: 'held' }), await take('web', { name: 'other' })];
  cloud.host().failNext('snapshot-forget', 'StorageFull', { resourceId: held.id });
  await cloud.deps.db.deleteFrom('snapshots').where('id', 'in', [held.id, other.id]).execute();
  await until('both are gone', async () => (await onHost()).length === 0);
  for (const snapshot of [held, other]) {
    await until('it is told', async () => (await cloud.eventTypes(snapshot.id)).includes('snapshot.reaped'));
  }
  await remove(id);
});

test('a linked clone keeps what it rests on until it is gone, a full one needs nothing', async () => {
  const { id, networkInterfaces } = await cloud.launch('web');
  const clone = async (name: string, more: { full?: boolean; snapshot?: string; start?: boolean } = {}) => {
    const answer = await cloneInstance(cloud.deps, cloud.operator, id, { name, ...more });
    await cloud.succeeded(answer.operationId);
    return cloud.instance(answer.instanceId);
  };
  const linked = await clone('linked');
  assert.deepEqual([linked.state, linked.type, linked.imageName], ['running', 'tiny', 'disk']);
  assert.notEqual(linked.networkInterfaces[0]?.mac, networkInterfaces[0]?.mac);
  assert.notEqual(linked.networkInterfaces[0]?.address, networkInterfaces[0]?.address);
  assert.notEqual(linked.rootDiskId, (await cloud.instance(id)).rootDiskId);
  assert.deepEqual((await listSnapshots(cloud.deps.db, cloud.operator, {})).items, []);
  await assert.rejects(deleteInstance(cloud.deps, cloud.operator, id), { code: 'InUse' });
  await assert.rejects(cloneInstance(cloud.deps, cloud.operator, id, { name: 'linked' }), { code: 'NameTaken' });

  const taken = await take('web', { name: 'base' });
  const stopped = await clone('stopped', { snapshot: 'base', start: false });
  assert.equal(stopped.state, 'stopped');
  assert.deepEqual((await get(taken.id)).clones, ['stopped']);
  // Only its name goes.
  await drop(taken.id);
  await assert.rejects(get(taken.id), { code: 'NotFound' });
  assert.equal((await onHost()).includes(taken.id), true);
  await remove(linked.id);
  await remove(stopped.id);
  await until('what clones rested on is gone', async () => (await onHost()).length === 0);

  const full = await clone('full', { full: true });
  assert.equal(full.state, 'running');
  await until('what it was copied from is gone', async () => (await onHost()).length === 0);
  await remove(id);
  assert.equal((await cloud.instance(full.id)).state, 'running');
  await remove(full.id);
  await cloud.assertNothingLeft();
});

test('what a clone rested on is deleted once its host can do that', async () => {
  const { id } = await cloud.launch('web');
  const linked = await cloneInstance(cloud.deps, cloud.operator, id, { name: 'linked' });
  await cloud.succeeded(linked.operationId);
  const [below] = await onHost();
  cloud.host().failNext('snapshot-forget', 'StorageFull', { resourceId: below! });
  await remove(linked.instanceId);
  await until('it is gone', async () => (await onHost()).length === 0);
  const { db } = cloud.deps;
  const deletions = () =>
    db.selectFrom('operations').select('state').where('resource_id', '=', below!).orderBy('created_at').execute();
  await until('that is told', async () => (await deletions()).at(-1)?.state === 'succeeded');
  assert.deepEqual(
    (await deletions()).map(({ state }) => state),
    ['failed', 'succeeded'],
  );
  await remove(id);
  await cloud.assertNothingLeft();
});

for (const point of ['snapshot-layers', 'snapshot-act', 'after applySnapshot']) {
  test(`killed at ${point} of a snapshot`, async () => {
    const { id } = await cloud.launch('web');
    const { snapshot } = await cloud.killedAt(point, () =>
      createSnapshot(cloud.deps, cloud.operator, { instance: 'web' }),
    );
    assert.equal((await get(snapshot.id)).state, 'available');
    assert.deepEqual(await onHost(), [snapshot.id]);
    await remove(id);
    await cloud.assertNothingLeft();
  });
}

test('killed at every step of a revert and of a deletion', async () => {
  const { id } = await cloud.launch('web');
  for (const point of ['revert-layers', 'define-layers', 'after revertSnapshot']) {
    const taken = await take('web');
    await cloud.killedAt(point, () => revertSnapshot(cloud.deps, cloud.operator, taken.id, { restart: true }));
    await until('it runs', async () => (await cloud.instance(id)).state === 'running');
    const step = point.replace('revert-layers', 'snapshot-forget').replace('define-layers', 'merge-begin');
    await cloud.killedAt(step.replace('revertSnapshot', 'deleteSnapshot'), () =>
      deleteSnapshot(cloud.deps, cloud.operator, taken.id),
    );
    assert.deepEqual(await onHost(), []);
  }
  await remove(id);
  await cloud.assertNothingLeft();
});

test('killed at every step of a clone', async () => {
  const { id } = await cloud.launch('web');
  for (const point of ['snapshot-act', 'clone-folder', 'clone-disk', 'after makeClone']) {
    const { instanceId } = await cloud.killedAt(point, () =>
      cloneInstance(cloud.deps, cloud.operator, id, { name: 'copy' }),
    );
    assert.equal((await cloud.instance(instanceId)).state, 'running', point);
    await remove(instanceId);
    await until('what it rested on is gone', async () => (await onHost()).length === 0);
  }
  await remove(id);
  await cloud.assertNothingLeft();
});

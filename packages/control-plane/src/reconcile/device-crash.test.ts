// The server is killed at every step of every change of a volume and of what an instance has: what was acknowledged happens,
// once, and nothing leaks.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId, VolumeId } from '@virga/contract/ids';
import type { Volume } from '@virga/contract/rest/volumes';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { attachVolume, detachVolume } from '../modules/instances/attach-volume.ts';
import { changeDiskDriver } from '../modules/instances/change-disk-driver.ts';
import { deleteInstance } from '../modules/instances/instance-operations.ts';
import { limitDisk, limitNetworkInterface } from '../modules/instances/limit-operations.ts';
import { addNetworkInterface, removeNetworkInterface } from '../modules/instances/network-interface-operations.ts';
import { createVolume } from '../modules/volumes/create-volume.ts';
import { deleteVolume, getVolume, resizeVolume } from '../modules/volumes/volume-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start();
  await cloud.prepare();
});
after(() => cloud.close());

const create = () => createVolume(cloud.deps, cloud.operator, { name: 'data', sizeGib: 1 });
const remove = (id: VolumeId) => deleteVolume(cloud.deps, cloud.operator, id);
const onHost = () => cloud.host().listVolumes(cloud.deps.cloudId);
const count = async (id: InstanceId, device: string) =>
  (await cloud.host().domainXml(id)).split(`'ua-${device}'`).length - 1;

async function aVolume(): Promise<Volume> {
  const { volume, operationId } = await create();
  await cloud.succeeded(operationId);
  return volume;
}

async function endOf(id: InstanceId): Promise<void> {
  assert.equal(cloud.host().bootCount(id), 1, 'it went on all the while');
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  await cloud.assertNothingLeft();
}

for (const point of ['volume', 'after applyVolume']) {
  test(`killed at ${point} of a creation`, async () => {
    const { volume } = await cloud.killedAt(point, create);
    assert.deepEqual(
      (await onHost()).map(({ id, intact }) => [id, intact]),
      [[volume.id, true]],
    );
    await cloud.succeeded((await remove(volume.id)).operationId);
    assert.deepEqual(await onHost(), []);
  });
}

for (const point of ['delete-volume', 'after deleteVolume']) {
  test(`killed at ${point} of a deletion`, async () => {
    const { id } = await aVolume();
    await cloud.killedAt(point, () => remove(id));
    assert.deepEqual(await onHost(), []);
  });
}

for (const point of ['grow-volume', 'after applyVolume']) {
  test(`killed at ${point} of a growth`, async () => {
    const { id } = await aVolume();
    await cloud.killedAt(point, () => resizeVolume(cloud.deps, cloud.operator, id, { sizeGib: 2 }));
    assert.equal((await onHost())[0]?.sizeBytes, 2 * 1024 ** 3);
    await cloud.succeeded((await remove(id)).operationId);
  });
}

test('killed at every step of attaching, limiting and detaching a volume', async () => {
  const { id } = await cloud.launch('web');
  const volume = await aVolume();
  for (const point of ['metadata', 'attach-volume', 'after applyInstance']) {
    await cloud.killedAt(point, () => attachVolume(cloud.deps, cloud.operator, id, { volume: 'data' }));
    assert.equal(await count(id, volume.id), 1, point);
    assert.equal((await cloud.instance(id)).volumes[0]?.state, 'attached', point);
    await cloud.killedAt('limit-disk', () => limitDisk(cloud.deps, cloud.operator, id, volume.id, { iops: 100 }));
    assert.match(await cloud.host().domainXml(id), /<total_iops_sec>100</);
    const detachAt = point === 'metadata' ? point : point.replace('attach', 'detach');
    await cloud.killedAt(detachAt, () => detachVolume(cloud.deps, cloud.operator, id, volume.id));
    assert.equal(await count(id, volume.id), 0, detachAt);
    assert.equal((await getVolume(cloud.deps.db, cloud.operator, volume.id)).state, 'available', detachAt);
  }
  await cloud.succeeded((await remove(volume.id)).operationId);
  await endOf(id);
});

test('killed at every step of plugging a volume with a thread of its own, and of changing its driver', async () => {
  const { id } = await cloud.launch('web');
  const volume = await aVolume();
  const driver = { cache: 'directsync', ioThread: true } as const;
  for (const point of ['metadata', 'add-thread', 'attach-volume', 'after applyInstance']) {
    await cloud.killedAt(point, () => attachVolume(cloud.deps, cloud.operator, id, { volume: 'data', driver }));
    assert.match(
      await cloud.host().domainXml(id),
      /cache='directsync' io='native' discard='unmap' iothread='3'/,
      point,
    );
    const { operationId } = await detachVolume(cloud.deps, cloud.operator, id, volume.id);
    await cloud.succeeded(operationId);
  }
  const { rootDiskId } = await cloud.instance(id);
  for (const [point, cache] of [
    ['metadata', 'writethrough'],
    ['after applyInstance', 'none'],
  ] as const) {
    const change = { driver: { cache }, restart: false };
    await cloud.killedAt(point, () => changeDiskDriver(cloud.deps, cloud.operator, id, rootDiskId, change));
    assert.deepEqual((await cloud.instance(id)).rootDiskDriver, { cache }, point);
  }
  await cloud.succeeded((await remove(volume.id)).operationId);
  await endOf(id);
});

test('killed at every step of adding, limiting and removing a network interface', async () => {
  const { id } = await cloud.launch('web');
  for (const point of ['metadata', 'lease', 'attach-nic', 'after applyInstance']) {
    const { instance } = await cloud.killedAt(point, () =>
      addNetworkInterface(cloud.deps, cloud.operator, id, { network: 'default' }),
    );
    const nic = instance.networkInterfaces[1]!;
    assert.equal(await count(id, nic.id), 1, point);
    const leased = async () => (await cloud.host().listNetworks(cloud.deps.cloudId)).flatMap(({ leases }) => leases);
    assert.deepEqual(new Set((await leased()).map(({ mac }) => mac)).size, 2, point);
    const limits = { outboundBytesPerSecond: 1_000_000 };
    await cloud.killedAt('limit-nic', () => limitNetworkInterface(cloud.deps, cloud.operator, id, nic.id, limits));
    const removeAt = point === 'attach-nic' ? 'detach-nic' : point === 'lease' ? 'after applyInstance' : point;
    await cloud.killedAt(removeAt, () => removeNetworkInterface(cloud.deps, cloud.operator, id, nic.id));
    assert.equal(await count(id, nic.id), 0, removeAt);
    assert.ok(!(await leased()).some(({ mac }) => mac === nic.mac), removeAt);
  }
  await endOf(id);
});

test('killed while an instance that has a volume is deleted: the volume stays', async () => {
  const { id } = await cloud.launch('web');
  const volume = await aVolume();
  await cloud.succeeded((await attachVolume(cloud.deps, cloud.operator, id, { volume: 'data' })).operationId);
  await cloud.killedAt('undefine', () => deleteInstance(cloud.deps, cloud.operator, id));
  assert.equal((await getVolume(cloud.deps.db, cloud.operator, volume.id)).state, 'available');
  assert.equal((await onHost())[0]?.intact, true);
  await cloud.succeeded((await remove(volume.id)).operationId);
});

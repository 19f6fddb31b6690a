import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId, type VolumeId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { createVolume } from './create-volume.ts';
import { deleteVolume, getVolume, listVolumes, resizeVolume } from './volume-operations.ts';

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
const create = (name: string, more: { host?: string; instance?: string } = {}) =>
  createVolume(cloud.deps, cloud.operator, { name, sizeGib: 1, ...more });
const get = (id: VolumeId) => getVolume(cloud.deps.db, cloud.operator, id);
const onHost = async (id: VolumeId, host = 0) =>
  (await cloud.host(host).listVolumes(cloud.deps.cloudId)).find((volume) => volume.id === id);
const remove = async (id: VolumeId) =>
  cloud.succeeded((await deleteVolume(cloud.deps, cloud.operator, id)).operationId);

test('a volume is made on its host, and removed from it', async () => {
  const { volume, operationId } = await create('data', { host: 'host-2' });
  assert.deepEqual([volume.state, volume.hostName, volume.attachment], ['pending', 'host-2', null]);
  await cloud.succeeded(operationId);
  assert.equal((await get(volume.id)).state, 'available');
  const seen = await onHost(volume.id, 1);
  assert.deepEqual([seen?.sizeBytes, seen?.name, seen?.keepsake.name], [gibibyte, 'data', 'data']);
  assert.equal(await onHost(volume.id, 0), undefined);
  assert.deepEqual(
    (await listVolumes(cloud.deps.db, cloud.operator, { name: 'data' })).items.map(({ id }) => id),
    [volume.id],
  );
  await remove(volume.id);
  assert.equal(await onHost(volume.id, 1), undefined);
  await assert.rejects(get(volume.id), { code: 'NotFound' });
});

test('a volume goes where most space is free, or beside the instance that is named', async () => {
  const headroom = async () => {
    const hosts = cloud.deps.db.selectFrom('hosts').select('storage_headroom_bytes').where('name', '=', 'host-1');
    return (await hosts.executeTakeFirstOrThrow()).storage_headroom_bytes;
  };
  // Not merely less than before: what the test before this one removed is told of late too.
  const full = (await headroom()) - 100 * gibibyte;
  cloud.host(0).fillStorage(200 * gibibyte);
  await until('the host has said so', async () => (await headroom()) < full);
  const free = await create('free');
  assert.equal(free.volume.hostName, 'host-2');
  const instance = await cloud.launch('web');
  const beside = await create('beside', { instance: 'web' });
  assert.equal(beside.volume.hostId, instance.hostId);
  for (const { operationId, volume } of [free, beside]) {
    await cloud.succeeded(operationId);
    await remove(volume.id);
  }
  cloud.host(0).fillStorage(null);
  await until('the host has room again', async () => (await headroom()) > 1024 * gibibyte);
});

test('what names no host, no instance or too much is refused with its field', async () => {
  await assert.rejects(create('one', { host: 'nowhere' }), { code: 'NotFound', field: '/host' });
  await assert.rejects(create('one', { instance: 'nobody' }), { code: 'NotFound', field: '/instance' });
  await assert.rejects(create('one', { host: 'host-1', instance: 'web' }), { code: 'InvalidArgument', field: '/host' });
});

test('a name is taken once in a project', async () => {
  const { volume, operationId } = await create('taken');
  await cloud.succeeded(operationId);
  await assert.rejects(create('taken'), { code: 'NameTaken', field: '/name' });
  await remove(volume.id);
});

test('a volume that its host refuses is removed again, and its operation says why', async () => {
  for (const host of [0, 1]) cloud.host(host).failNext('volume', 'StorageFull');
  const { volume, operationId } = await create('refused');
  assert.equal((await cloud.failed(operationId)).code, 'StorageFull');
  await assert.rejects(get(volume.id), { code: 'NotFound' });
  for (const host of [0, 1]) cloud.host(host).stopFailing();
});

test('a volume grows, and never shrinks', async () => {
  const { volume, operationId } = await create('growing', { host: 'host-1' });
  await cloud.succeeded(operationId);
  const resize = (sizeGib: number) => resizeVolume(cloud.deps, cloud.operator, volume.id, { sizeGib });
  await cloud.succeeded((await resize(3)).operationId);
  assert.equal((await onHost(volume.id))?.sizeBytes, 3 * gibibyte);
  assert.equal((await get(volume.id)).sizeBytes, 3 * gibibyte);
  await assert.rejects(resize(2), { code: 'InvalidArgument', field: '/sizeGib' });
  const before = await get(volume.id);
  await cloud.succeeded((await resize(3)).operationId);
  assert.deepEqual(await get(volume.id), before, 'what is so already changes nothing');
  await remove(volume.id);
});

test('a lost volume is said to be lost, is not made anew, and is fine when it is back', async () => {
  const { volume, operationId } = await create('lost', { host: 'host-1' });
  await cloud.succeeded(operationId);
  cloud.host(0).removeVolumeOutside(volume.id);
  const lost = await until('it is said', async () => {
    const now = await get(volume.id);
    return now.state === 'error' && now;
  });
  assert.match(lost.stateReason ?? '', /gone from its host/);
  cloud.host(0).restoreVolumeOutside(volume.id);
  await until('it is fine', async () => (await get(volume.id)).state === 'available');
  cloud.host(0).removeVolumeOutside(volume.id);
  const growth = await resizeVolume(cloud.deps, cloud.operator, volume.id, { sizeGib: 2 });
  assert.equal((await cloud.failed(growth.operationId)).code, 'HypervisorRefused');
  assert.equal((await onHost(volume.id))?.intact, false);
  await remove(volume.id);
});

test('a volume that no row owns is removed from its host', async () => {
  const id = newId('volume');
  const { cloudId } = cloud.deps;
  const orphan = { id, cloudId, generation: 1, name: 'left', sizeBytes: gibibyte, mustExist: false, keepsake: {} };
  await cloud.host().applyVolume(orphan);
  const told = await until('it is told', async () => {
    const types = await cloud.eventTypes(id);
    return types.length > 0 && types;
  });
  assert.deepEqual(told, ['volume.reaped']);
  assert.equal(await onHost(id), undefined);
});

test('a host that is away is waited for', async () => {
  cloud.host(1).goUnreachable();
  await until('the host is away', async () => {
    const row = await cloud.deps.db.selectFrom('hosts').select('state').where('name', '=', 'host-2').executeTakeFirst();
    return row?.state === 'unreachable';
  });
  await assert.rejects(create('away', { host: 'host-2' }), { code: 'HostUnavailable' });
  cloud.host(1).comeBack();
  await cloud.hostsAreReady();
  const { volume, operationId } = await create('away', { host: 'host-2' });
  await cloud.succeeded(operationId);
  cloud.host(1).goUnreachable();
  const deletion = await deleteVolume(cloud.deps, cloud.operator, volume.id);
  cloud.host(1).comeBack();
  await cloud.succeeded(deletion.operationId);
  assert.equal(await onHost(volume.id, 1), undefined);
});

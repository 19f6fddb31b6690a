import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId, VolumeId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { getOperation } from '../operations/operation-operations.ts';
import { createVolume } from '../volumes/create-volume.ts';
import { deleteVolume, getVolume, resizeVolume } from '../volumes/volume-operations.ts';
import { attachVolume, detachVolume } from './attach-volume.ts';
import { freeTarget } from './instance-devices.ts';
import { deleteInstance, destroyInstance, launchInstance, startInstance, stopInstance } from './instance-operations.ts';
import { limitDisk, limitNetworkInterface } from './limit-operations.ts';
import { addNetworkInterface, removeNetworkInterface } from './network-interface-operations.ts';
import { hibernateInstance, resumeInstance, suspendInstance } from './power-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: [{}, {}], settings: { resyncPeriodMs: 300, reconcilePeriodMs: 300 } });
  await cloud.prepare();
});
after(() => cloud.close());

const deps = () => cloud.deps;
const { done } = { done: async ({ operationId }: { operationId: OperationId }) => cloud.succeeded(operationId) };
const xmlOf = async (id: InstanceId) => {
  const { hostName } = await cloud.instance(id);
  return cloud.host(hostName === 'host-1' ? 0 : 1).domainXml(id);
};
const hostOf = async (id: InstanceId) => cloud.host((await cloud.instance(id)).hostName === 'host-1' ? 0 : 1);
const volumeOf = (id: VolumeId) => getVolume(deps().db, cloud.operator, id);
const remove = async (id: InstanceId) => done(await deleteInstance(deps(), cloud.operator, id));

/** An available volume beside an instance. */
async function aVolume(name: string, instance: string) {
  const created = await createVolume(deps(), cloud.operator, { name, sizeGib: 1, instance });
  await done(created);
  return created.volume;
}

const attach = (id: InstanceId, volume: string, more: { readOnly?: boolean; limits?: { iops?: number } } = {}) =>
  attachVolume(deps(), cloud.operator, id, { volume, ...more });
const detach = (id: InstanceId, volume: VolumeId) => detachVolume(deps(), cloud.operator, id, volume);

test('a volume is attached to a guest that runs, and detached, without a restart', async () => {
  const { id } = await cloud.launch('web');
  const volume = await aVolume('data', 'web');
  const attaching = await attach(id, 'data', { readOnly: true });
  assert.deepEqual(
    attaching.instance.volumes.map(({ name, target, readOnly, state }) => [name, target, readOnly, state]),
    [['data', 'vdc', true, 'attaching']],
  );
  await done(attaching);
  assert.equal((await cloud.instance(id)).volumes[0]?.state, 'attached');
  assert.match(await xmlOf(id), new RegExp(`'ua-${volume.id}'`));
  const { state, attachment } = await volumeOf(volume.id);
  assert.deepEqual([state, attachment?.instanceName, attachment?.target], ['in-use', 'web', 'vdc']);
  const again = await attach(id, 'data', { readOnly: true });
  await done(again);
  await assert.rejects(deleteVolume(deps(), cloud.operator, volume.id), { code: 'InUse' });
  const detaching = await detach(id, volume.id);
  assert.equal(detaching.instance.volumes[0]?.state, 'detaching');
  await done(detaching);
  assert.deepEqual((await cloud.instance(id)).volumes, []);
  assert.equal((await volumeOf(volume.id)).state, 'available');
  assert.doesNotMatch(await xmlOf(id), /ua-vol/);
  assert.equal((await hostOf(id)).bootCount(id), 1);
  await done(await deleteVolume(deps(), cloud.operator, volume.id));
  await remove(id);
});

test('a volume is in one instance only, also when two ask for it at once', async () => {
  const launched = [await cloud.launch('one'), await cloud.launch('two'), await cloud.launch('three')];
  const onHost = (hostId: string) => launched.filter((instance) => instance.hostId === hostId);
  const pair = launched.map(({ hostId }) => onHost(hostId)).find(({ length }) => length > 1)!;
  const volume = await aVolume('shared', pair[0]!.name);
  const asked = await Promise.allSettled(pair.map(({ id }) => attach(id, 'shared')));
  const won = asked.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  assert.equal(won.length, 1);
  for (const result of asked) if (result.status === 'rejected') assert.equal(result.reason.code, 'InUse');
  await done(won[0]!);
  for (const { id } of launched) await remove(id);
  assert.equal((await volumeOf(volume.id)).state, 'available', 'an instance that is deleted leaves its volumes');
  await done(await deleteVolume(deps(), cloud.operator, volume.id));
});

test('a volume that cannot be used is refused before anything changes', async () => {
  const { id, hostName } = await cloud.launch('here');
  const elsewhere = hostName === 'host-1' ? 'host-2' : 'host-1';
  const created = await createVolume(deps(), cloud.operator, { name: 'elsewhere', sizeGib: 1, host: elsewhere });
  await done(created);
  await assert.rejects(attach(id, 'elsewhere'), (error: { code: string; detail: string; action: string }) => {
    assert.equal(error.code, 'Conflict');
    assert.match(error.detail, /lies on host host-\d, instance here runs on host host-\d/);
    assert.match(error.action, /virga volumes create/);
    return true;
  });
  await assert.rejects(attach(id, 'nothing'), { code: 'NotFound', field: '/volume' });
  assert.equal((await cloud.instance(id)).generation, 1);
  await done(await deleteVolume(deps(), cloud.operator, created.volume.id));
  await remove(id);
});

test('a guest that does not let go keeps its volume, which its operation says, and gives it up when it is off', async () => {
  const { id } = await cloud.launch('clinging');
  const volume = await aVolume('kept', 'clinging');
  await done(await attach(id, 'kept'));
  const host = await hostOf(id);
  host.letGo(false, id);
  const { operationId } = await detach(id, volume.id);
  const operation = () => getOperation(deps(), cloud.operator, operationId, 0, new AbortController().signal);
  await until('it says so', async () => (await operation()).message.includes('has not let go'));
  const { state, volumes } = await cloud.instance(id);
  assert.deepEqual([state, volumes[0]?.state], ['running', 'detaching']);
  assert.equal((await volumeOf(volume.id)).state, 'in-use');
  await assert.rejects(deleteVolume(deps(), cloud.operator, volume.id), { code: 'InUse' });
  await done(await destroyInstance(deps(), cloud.operator, id));
  assert.equal((await volumeOf(volume.id)).state, 'available');
  assert.equal((await operation()).state, 'failed', 'it was overtaken');
  host.letGo(true, id);
  await done(await startInstance(deps(), cloud.operator, id));
  assert.doesNotMatch(await xmlOf(id), /ua-vol/);
  await done(await deleteVolume(deps(), cloud.operator, volume.id));
  await remove(id);
});

test('a guest that lets go late ends the operation then', async () => {
  const { id } = await cloud.launch('late');
  const volume = await aVolume('slow', 'late');
  await done(await attach(id, 'slow'));
  const host = await hostOf(id);
  host.letGo(false, id);
  const { operationId } = await detach(id, volume.id);
  const message = async () =>
    (await getOperation(deps(), cloud.operator, operationId, 0, new AbortController().signal)).message;
  await until('it is waited for', async () => (await message()).includes('waiting for the guest'));
  host.letGo(true, id);
  await cloud.succeeded(operationId);
  await done(await deleteVolume(deps(), cloud.operator, volume.id));
  assert.equal(host.bootCount(id), 1);
  await remove(id);
});

test('an attachment that the host refuses fails its operation, while the guest goes on, and can be taken back', async () => {
  const { id } = await cloud.launch('refused');
  const volume = await aVolume('unplugged', 'refused');
  const host = await hostOf(id);
  host.failNext('attach-volume', 'HypervisorRefused', { times: 1_000 });
  const { operationId } = await attach(id, 'unplugged');
  assert.equal((await cloud.failed(operationId)).code, 'HypervisorRefused');
  assert.deepEqual([(await cloud.instance(id)).state, host.bootCount(id)], ['error', 1]);
  await done(await detach(id, volume.id));
  host.stopFailing();
  assert.deepEqual([(await cloud.instance(id)).state, (await volumeOf(volume.id)).state], ['running', 'available']);
  await remove(id);
  await done(await deleteVolume(deps(), cloud.operator, volume.id));
});

test('what is asked for after a failed attachment fails for its own reason, and once more is tried at once', async () => {
  const { id } = await cloud.launch('refused');
  const [one, other] = [await aVolume('first', 'refused'), await aVolume('second', 'refused')];
  const host = await hostOf(id);
  host.failNext('attach-volume', new VirgaError('HypervisorRefused', { detail: 'First.', action: 'None.' }));
  assert.equal((await cloud.failed((await attach(id, 'first')).operationId)).detail, 'First.');
  host.failNext('attach-volume', new VirgaError('HypervisorRefused', { detail: 'Second.', action: 'None.' }));
  assert.equal((await cloud.failed((await attach(id, 'second')).operationId)).detail, 'Second.');
  assert.match((await cloud.instance(id)).stateReason ?? '', /^Second/);
  await done(await attach(id, 'second'));
  const { state, volumes } = await cloud.instance(id);
  assert.deepEqual([state, volumes.map((volume) => volume.state)], ['running', ['attached', 'attached']]);
  await remove(id);
  for (const volume of [one, other]) await done(await deleteVolume(deps(), cloud.operator, volume.id));
});

test('a detachment that is taken back leaves the volume where it is', async () => {
  const { id } = await cloud.launch('again');
  const volume = await aVolume('stays', 'again');
  await done(await attach(id, 'stays'));
  const host = await hostOf(id);
  host.letGo(false, id);
  await detach(id, volume.id);
  await done(await attach(id, 'stays'));
  assert.equal((await cloud.instance(id)).volumes[0]?.state, 'attached');
  host.letGo(true, id);
  await remove(id);
  await done(await deleteVolume(deps(), cloud.operator, volume.id));
});

test('what is attached to an instance that is off is there when it starts', async () => {
  const { id } = await cloud.launch('off');
  await done(await destroyInstance(deps(), cloud.operator, id));
  const volume = await aVolume('early', 'off');
  await done(await attach(id, 'early'));
  await done(await startInstance(deps(), cloud.operator, id));
  assert.match(await xmlOf(id), new RegExp(`'ua-${volume.id}'`));
  await done(await deleteInstance(deps(), cloud.operator, id, undefined, { withVolumes: true }));
  await until('its volumes go with it', async () =>
    volumeOf(volume.id).then(
      () => false,
      () => true,
    ),
  );
});

test('a volume grows while its guest runs', async () => {
  const { id } = await cloud.launch('larger');
  const volume = await aVolume('grows', 'larger');
  await done(await attach(id, 'grows'));
  await done(await resizeVolume(deps(), cloud.operator, volume.id, { sizeGib: 2 }));
  assert.equal((await cloud.instance(id)).volumes[0]?.sizeBytes, 2 * 1024 ** 3);
  await remove(id);
  await done(await deleteVolume(deps(), cloud.operator, volume.id));
});

test('a network interface is added with an address of its own, and removed with it', async () => {
  const { id, networkInterfaces } = await cloud.launch('cards');
  const add = (address?: string) =>
    addNetworkInterface(deps(), cloud.operator, id, { network: 'default', ...(address && { address }) });
  await done(await add());
  await done(await add('10.77.3.4'));
  const now = (await cloud.instance(id)).networkInterfaces;
  assert.equal(now[0]?.id, networkInterfaces[0]?.id, 'the first one stays the first');
  assert.deepEqual([now.length, now[2]?.address, now[2]?.state], [3, '10.77.3.4', 'attached']);
  await assert.rejects(add('10.77.3.4'), { code: 'InUse', field: '/address' });
  for (const wrong of ['10.99.0.1', '10.77.0.1', 'nonsense']) {
    await assert.rejects(add(wrong), { code: 'InvalidArgument', field: '/address' });
  }
  const host = await hostOf(id);
  const leased = async () =>
    (await host.listNetworks(deps().cloudId)).flatMap(({ leases }) => leases.map((l) => l.mac));
  assert.deepEqual(new Set(await leased()), new Set(now.map(({ mac }) => mac)));
  for (const nic of now) await done(await removeNetworkInterface(deps(), cloud.operator, id, nic.id));
  assert.deepEqual((await cloud.instance(id)).networkInterfaces, []);
  assert.deepEqual(await leased(), []);
  assert.equal(host.bootCount(id), 1);
  await remove(id);
  await cloud.assertNothingLeft();
});

test('disks are limited while the guest runs, from the launch on if that is wanted, and no longer', async () => {
  const launched = await launchInstance(deps(), cloud.operator, {
    name: 'slow',
    image: 'disk',
    type: 'tiny',
    rootDiskLimits: { iops: 300 },
  });
  await done(launched);
  const { id, rootDiskId } = launched.instance;
  assert.match(await xmlOf(id), /<total_iops_sec>300</);
  const volume = await aVolume('limited', 'slow');
  await done(await attach(id, 'limited', { limits: { iops: 50 } }));
  assert.match(await xmlOf(id), /<total_iops_sec>50</);
  const limit = (disk: VolumeId, limits: Parameters<typeof limitDisk>[4]) =>
    limitDisk(deps(), cloud.operator, id, disk, limits);
  await done(await limit(volume.id, { bytesPerSecond: 1_000_000, burstBytesPerSecond: 2_000_000, burstSeconds: 9 }));
  await done(await limit(rootDiskId, {}));
  const xml = await xmlOf(id);
  assert.doesNotMatch(xml, /total_iops_sec/);
  assert.match(xml, /<total_bytes_sec_max_length>9</);
  const { rootDiskLimits, volumes } = await cloud.instance(id);
  assert.deepEqual([rootDiskLimits, volumes[0]?.limits?.burstSeconds], [null, 9]);
  for (const [limits, field] of [
    [{ burstIops: 5 }, '/burstIops'],
    [{ iops: 5, burstIops: 4 }, '/burstIops'],
    [{ iops: 5, burstSeconds: 4 }, '/burstSeconds'],
  ] as const) {
    await assert.rejects(limit(volume.id, limits), { code: 'InvalidArgument', field });
  }
  await remove(id);
  await done(await deleteVolume(deps(), cloud.operator, volume.id));
});

test('network interfaces are limited where the host can, and refused where it cannot', async () => {
  const { id, hostId, networkInterfaces } = await cloud.launch('narrow');
  const [nic] = networkInterfaces;
  const limit = (limits: Parameters<typeof limitNetworkInterface>[4]) =>
    limitNetworkInterface(deps(), cloud.operator, id, nic!.id, limits);
  await done(await limit({ inboundBytesPerSecond: 1_000_000, burstBytes: 64 * 1024 }));
  assert.match(await xmlOf(id), /<inbound average='1000' burst='64'\/>/);
  await assert.rejects(limit({ burstBytes: 4096 }), { code: 'InvalidArgument', field: '/burstBytes' });
  await done(await limit({}));
  assert.doesNotMatch(await xmlOf(id), /<bandwidth>/);
  const { facts } = await deps()
    .db.selectFrom('hosts')
    .select('facts')
    .where('id', '=', hostId)
    .executeTakeFirstOrThrow();
  const cannot = JSON.stringify({ ...facts, nicLimits: false });
  await deps().db.updateTable('hosts').set({ facts: cannot }).where('id', '=', hostId).execute();
  const { generation } = await cloud.instance(id);
  await assert.rejects(limit({ inboundBytesPerSecond: 1_000_000 }), { code: 'HostIncapable' });
  await done(await limit({}));
  assert.equal((await cloud.instance(id)).generation, generation);
  await deps()
    .db.updateTable('hosts')
    .set({ facts: JSON.stringify(facts) })
    .where('id', '=', hostId)
    .execute();
  await remove(id);
});

test('what an instance cannot take or give now is refused, with what to do', async () => {
  const { id } = await cloud.launch('refusing');
  const volume = await aVolume('wanted', 'refusing');
  const set = (columns: Record<string, unknown>) =>
    deps().db.updateTable('instances').set(columns).where('id', '=', id).execute();
  await set({ hardware: 'emulated' });
  await assert.rejects(attach(id, 'wanted'), { code: 'Conflict', action: /virga stop refusing/ } as object);
  await set({ hardware: 'virtio', origin: 'adopted' });
  await assert.rejects(attach(id, 'wanted'), { code: 'Conflict', action: /virsh attach-disk/ } as object);
  await set({ origin: 'launched' });
  await done(await hibernateInstance(deps(), cloud.operator, id));
  await assert.rejects(attach(id, 'wanted'), { code: 'Conflict', action: /virga start refusing/ } as object);
  await done(await startInstance(deps(), cloud.operator, id));
  await done(await attach(id, 'wanted'));
  await done(await suspendInstance(deps(), cloud.operator, id));
  await assert.rejects(detach(id, volume.id), { code: 'Conflict', action: /virga resume refusing/ } as object);
  await done(await resumeInstance(deps(), cloud.operator, id));
  await assert.rejects(attach(id, 'wanted', { readOnly: true }), { code: 'Conflict', field: '/readOnly' });
  await done(await stopInstance(deps(), cloud.operator, id, { timeoutSeconds: 0 }));
  await remove(id);
  await done(await deleteVolume(deps(), cloud.operator, volume.id));
});

test('a guest is given as many devices as it has ports, and more once it has been started again', async () => {
  const { id } = await cloud.launch('many');
  const add = () => addNetworkInterface(deps(), cloud.operator, id, { network: 'default' });
  for (let number = 0; number < 6; number++) await done(await add());
  await assert.rejects(add(), { code: 'Conflict', action: /virga stop many --wait && virga start many/ } as object);
  await done(await destroyInstance(deps(), cloud.operator, id));
  await done(await startInstance(deps(), cloud.operator, id));
  for (let number = 0; number < 6; number++) await done(await add());
  await done(await destroyInstance(deps(), cloud.operator, id));
  for (let number = 0; number < 3; number++) await done(await add());
  await assert.rejects(add(), { code: 'Conflict', detail: /has 16 volumes and network interfaces/ } as object);
  await remove(id);
});

test('places are given from the third on, and a free one is used again', () => {
  const has = (...targets: string[]) =>
    ({ volumes: targets.map((target) => ({ target })) }) as Parameters<typeof freeTarget>[0];
  assert.equal(freeTarget(has()), 'vdc');
  assert.equal(freeTarget(has('vdc', 'vde')), 'vdd');
});

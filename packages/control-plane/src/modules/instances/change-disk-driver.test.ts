import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { DiskDriver } from '@virga/contract/agent/desired';
import type { HostId, InstanceId, OperationId } from '@virga/contract/ids';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { allowVolatileWriteback, forbidVolatileWriteback, listHostDisks } from '../hosts/host-disks.ts';
import { createInstanceType, deleteInstanceType } from '../hosts/instance-type-operations.ts';
import { createVolume } from '../volumes/create-volume.ts';
import { getVolume } from '../volumes/volume-operations.ts';
import { attachVolume } from './attach-volume.ts';
import { changeDiskDriver } from './change-disk-driver.ts';
import { changeHardware } from './change-hardware.ts';
import { deleteInstance, launchInstance, startInstance, stopInstance } from './instance-operations.ts';

let cloud: SimulatedCloud;
/** The second host has a disk that could lose what it has acknowledged, and no io_uring. */
const [safe, risky] = [0, 1];
before(async () => {
  cloud = await SimulatedCloud.start({
    hosts: [{}, { memoryMib: 512 * 1024 }],
    settings: { resyncPeriodMs: 300, reconcilePeriodMs: 300 },
  });
  await cloud.prepare();
  cloud.host(risky).setDiskCache('volatile');
  cloud.host(risky).setIoUring(false);
  await until('the cloud knows the disks of its hosts', async () => {
    const rows = await deps().db.selectFrom('hosts').select('facts').execute();
    return rows.some(({ facts }) => facts?.storageDevices[0]?.verdict === 'volatile');
  });
});
after(() => cloud.close());

const deps = () => cloud.deps;
const done = async ({ operationId }: { operationId: OperationId }) => cloud.succeeded(operationId);
const xmlOf = async (id: InstanceId) => {
  const { hostName } = await cloud.instance(id);
  return cloud.host(hostName === 'host-1' ? safe : risky).domainXml(id);
};
const launch = async (name: string, driver?: DiskDriver) => {
  const body = { ...launchOf(name), ...(driver && { rootDiskDriver: driver }) };
  const launched = await launchInstance(deps(), cloud.operator, body);
  await done(launched);
  return cloud.instance(launched.instance.id);
};
const setDriver = (id: InstanceId, volume: `vol-${string}`, driver: DiskDriver, restart = false) =>
  changeDiskDriver(deps(), cloud.operator, id, volume, { driver, restart });
const remove = async (id: InstanceId) => done(await deleteInstance(deps(), cloud.operator, id));
const riskyHost = async (): Promise<HostId> =>
  (await deps().db.selectFrom('hosts').select('id').where('name', '=', 'host-2').executeTakeFirstOrThrow()).id;

test('a root disk is launched with its driver, on a host that takes it although another has more room', async () => {
  const plain = await launch('plain');
  assert.deepEqual([plain.hostName, plain.rootDiskDriver], ['host-2', null]);
  const driver = { cache: 'writeback', aio: 'io_uring', ioThread: true } as const;
  const cached = await launch('cached', driver);
  assert.deepEqual([cached.hostName, cached.rootDiskDriver], ['host-1', driver]);
  assert.match(await xmlOf(cached.id), /cache='writeback' io='io_uring' discard='unmap' iothread='1'/);
  for (const { id } of [plain, cached]) await remove(id);
});

test('a type carries a driver for the root disks of its instances, which a launch overrides option by option', async () => {
  const type = {
    name: 'fast',
    vcpus: 1,
    memoryMib: 64,
    diskGib: 1,
    diskDriver: { cache: 'directsync', ioThread: true },
  };
  await createInstanceType(deps().db, cloud.administrator, type as Parameters<typeof createInstanceType>[2]);
  const body = { ...launchOf('typed'), type: 'fast', rootDiskDriver: { ioThread: false } };
  const launched = await launchInstance(deps(), cloud.operator, body);
  await done(launched);
  assert.deepEqual(launched.instance.rootDiskDriver, { cache: 'directsync', ioThread: false });
  const unsafe = { ...type, name: 'unsafe', diskDriver: { cache: 'unsafe' as const } };
  await assert.rejects(createInstanceType(deps().db, cloud.administrator, unsafe), {
    code: 'InvalidArgument',
    field: '/diskDriver/cache',
  });
  await deleteInstanceType(deps().db, cloud.administrator, 'fast');
  await remove(launched.instance.id);
});

test('what no host takes, or does not go together, is refused with its field before anything is written', async () => {
  const refused = (driver: DiskDriver, code: string, field: string, more = {}) =>
    assert.rejects(launchInstance(deps(), cloud.operator, { ...launchOf('no'), rootDiskDriver: driver, ...more }), {
      code,
      field,
    });
  await refused({ cache: 'unsafe' }, 'InvalidArgument', '/rootDiskDriver/cache');
  await refused({ cache: 'writethrough', aio: 'native' }, 'InvalidArgument', '/rootDiskDriver/aio');
  await refused({ ioThread: true }, 'InvalidArgument', '/rootDiskDriver/ioThread', { hardware: 'emulated' });
  const rows = await deps().db.selectFrom('instances').select('id').where('name', '=', 'no').execute();
  assert.deepEqual(rows, []);
});

test('write-back on a volatile disk needs an administrator who names the device, and is refused again when that is taken back', async () => {
  const { id, hostName, rootDiskId } = await launch('volatile');
  assert.equal(hostName, 'host-2');
  const cached = () => setDriver(id, rootDiskId, { cache: 'writeback' }, true);
  await assert.rejects(cached(), (error: Error & { code: string; field: string }) => {
    assert.deepEqual([error.code, error.field], ['VolatileWriteCache', '/driver/cache']);
    assert.match(error.message, /host host-2.*nvme0n1 has a volatile write cache.*none, writethrough or directsync/);
    return true;
  });
  const hostId = await riskyHost();
  await assert.rejects(allowVolatileWriteback(deps(), cloud.administrator, hostId, 'sdz'), {
    code: 'NotFound',
    action: 'It lies on nvme0n1.',
  });
  for (let call = 0; call < 2; call++) {
    const { items } = await allowVolatileWriteback(deps(), cloud.administrator, hostId, 'nvme0n1');
    assert.deepEqual(
      items.map(({ device, key, allowedBy }) => [device, key, allowedBy]),
      [['nvme0n1', 'eui.0000000000000001', 'admin']],
    );
  }
  await done(await cached());
  assert.match(await xmlOf(id), /cache='writeback'/);
  assert.equal((await cloud.instance(id)).state, 'running');
  assert.equal((await listHostDisks(deps(), cloud.administrator, hostId)).allowedWriteback.length, 1);

  const { items } = await forbidVolatileWriteback(deps(), cloud.administrator, hostId, 'nvme0n1');
  assert.deepEqual(items, []);
  assert.equal((await cloud.instance(id)).state, 'running', 'it goes on');
  await done(await stopInstance(deps(), cloud.operator, id, { timeoutSeconds: 0 }));
  await assert.rejects(startInstance(deps(), cloud.operator, id), {
    code: 'VolatileWriteCache',
    detail: /nvme0n1 has a volatile write cache/,
  } as object);
  assert.equal((await cloud.instance(id)).state, 'stopped');
  const events = await deps()
    .db.selectFrom('events')
    .select('type')
    .where('type', 'like', 'host.volatile-writeback-%')
    .orderBy('seq')
    .execute();
  assert.deepEqual(
    events.map(({ type }) => type),
    ['host.volatile-writeback-allowed', 'host.volatile-writeback-forbidden'],
    'once each',
  );
  await remove(id);
});

test('a driver is changed as of the next start, or with a restart; the same again changes nothing', async () => {
  const { id, rootDiskId } = await launch('changing');
  const boots = async () => cloud.host(risky).bootCount(id);
  const changed = await setDriver(id, rootDiskId, { cache: 'directsync' });
  await done(changed);
  assert.deepEqual((await cloud.instance(id)).rootDiskDriver, { cache: 'directsync' });
  assert.doesNotMatch(await xmlOf(id), /cache='directsync'/);
  const { generation } = await cloud.instance(id);
  await done(await setDriver(id, rootDiskId, { cache: 'directsync' }));
  assert.equal((await cloud.instance(id)).generation, generation);
  assert.equal(await boots(), 1);
  await done(await setDriver(id, rootDiskId, { cache: 'directsync' }, true));
  assert.match(await xmlOf(id), /cache='directsync' io='native'/);
  assert.equal(await boots(), 2);
  await done(await setDriver(id, rootDiskId, {}, true));
  assert.equal((await cloud.instance(id)).rootDiskDriver, null);
  await assert.rejects(setDriver(id, 'vol-00000000000000000', {}), { code: 'NotFound' });
  await remove(id);
});

test('a volume is attached with a driver of its own; only one that may be lost can be unsafe', async () => {
  const { id } = await launch('host-of-volumes');
  const make = async (name: string, scratch: boolean) => {
    const created = await createVolume(deps(), cloud.operator, { name, sizeGib: 1, instance: id, scratch });
    await done(created);
    return created.volume;
  };
  const attach = (volume: string, driver: DiskDriver) => attachVolume(deps(), cloud.operator, id, { volume, driver });
  const kept = await make('kept', false);
  const spare = await make('spare', true);
  assert.deepEqual([kept.scratch, spare.scratch], [false, true]);
  await assert.rejects(attach('kept', { cache: 'unsafe' }), { code: 'InvalidArgument', field: '/driver/cache' });
  await assert.rejects(attach('kept', { aio: 'io_uring' }), { code: 'HostIncapable', field: '/driver/aio' });
  await done(await attach('spare', { cache: 'unsafe', ioThread: true }));
  await done(await attach('kept', { cache: 'writethrough' }));
  const xml = await xmlOf(id);
  assert.match(xml, /cache='unsafe' io='threads' discard='unmap' iothread='3'/);
  assert.match(xml, /cache='writethrough' io='threads'/);
  assert.deepEqual((await getVolume(deps().db, cloud.operator, spare.id)).attachment?.driver, {
    cache: 'unsafe',
    ioThread: true,
  });
  const found = (await cloud.instance(id)).volumes.map(({ name, driver }) => [name, driver?.cache]);
  assert.deepEqual(found, [
    ['spare', 'unsafe'],
    ['kept', 'writethrough'],
  ]);
  await assert.rejects(changeHardware(deps(), cloud.operator, id, { hardware: 'emulated', restart: true }), {
    code: 'InvalidArgument',
    action: /virga disks set host-of-volumes spare --io-thread no/,
  } as object);
  await done(await setDriver(id, spare.id, { cache: 'unsafe' }, true));
  await done(await changeHardware(deps(), cloud.operator, id, { hardware: 'emulated', restart: true }));
  await remove(id);
});

// Line by line the table of docs/decisions/0002-outside-changes.md.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { systemAccess } from '../../access/system-access.ts';
import { forgottenAfterMs } from '../../reconcile/back-off.ts';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import { deleteInstance, rebootInstance, startInstance, stopInstance } from './instance-operations.ts';
import { desiredInstanceOf, findInstance, findInstanceOrder, type InstanceOrder } from './instance-store.ts';
import { adoptStart, adoptStop } from './outside-change.ts';
import { hibernateInstance, resumeInstance } from './power-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: [{ memoryMib: 4096 }], settings: { resyncPeriodMs: 500 } });
  await cloud.prepare();
});
after(() => cloud.close());

type Id = Awaited<ReturnType<SimulatedCloud['launch']>>['id'];
const told = (id: Id, type: string) => until(type, async () => (await cloud.eventTypes(id)).includes(type));
const settled = (id: Id, state: string) =>
  until(`it is ${state}`, async () => (await cloud.instance(id)).state === state);
const stopped = async (name: string) => {
  const { id } = await cloud.launch(name);
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id)).operationId);
  return id;
};
const converged = (id: Id) =>
  until('it has converged', async () => {
    const row = await findInstanceOrder(cloud.deps.db, id);
    return row?.generation === row?.converged_generation;
  });

const hostRow = () => cloud.deps.db.selectFrom('hosts').selectAll().executeTakeFirstOrThrow();

test('a guest that shuts itself down stays stopped, and its room can be promised again', async () => {
  const before = await hostRow();
  const { id } = await cloud.launch('adopted-stop');
  cloud.host().stopFromInside(id);
  await told(id, 'instance.stopped-outside');
  await settled(id, 'stopped');
  await converged(id);
  assert.equal((await cloud.instance(id)).desiredState, 'stopped');
  assert.equal(cloud.host().bootCount(id), 1);
  const { allocated_vcpus, allocated_memory_mib } = await hostRow();
  assert.deepEqual([allocated_vcpus, allocated_memory_mib], [before.allocated_vcpus, before.allocated_memory_mib]);
});

test('what was seen before a newer request is not adopted', async () => {
  const { id } = await cloud.launch('overtaken');
  const seen = (await findInstance(cloud.deps.db, id))!;
  const reboot = await rebootInstance(cloud.deps, cloud.operator, id, { hard: true });
  const context = { deps: cloud.deps, access: systemAccess('test') };
  const off = (await cloud.host().listInstances(cloud.deps.cloudId)).find((instance) => instance.id === id)!;
  await adoptStop(context, seen, { ...off, state: 'stopped', reason: 'guest-shutdown' });
  await adoptStart(context, seen, { ...off, state: 'running', reason: 'booted' });
  await cloud.succeeded(reboot.operationId);
  assert.equal((await cloud.instance(id)).desiredState, 'running');
  const outside = (await cloud.eventTypes(id)).filter((type) => type.endsWith('-outside'));
  assert.deepEqual(outside, []);
});

test('virsh shutdown is the same to Virga', async () => {
  const { id } = await cloud.launch('shut-down');
  cloud.host().shutdownOutside(id);
  await told(id, 'instance.stopped-outside');
  assert.equal((await cloud.instance(id)).desiredState, 'stopped');
});

test('virsh start of a stopped instance is adopted, with its room on the host', async () => {
  const id = await stopped('adopted-start');
  cloud.host().startOutside(id);
  await told(id, 'instance.started-outside');
  await settled(id, 'running');
  const row = await findInstanceOrder(cloud.deps.db, id);
  assert.equal(row?.desired, 'running');
  assert.equal(row?.allocated, true);
});

test('virsh start on a host without room is undone', async () => {
  const id = await stopped('no-room');
  const { allocated_memory_mib, schedulable_memory_mib } = await hostRow();
  await cloud.deps.db.updateTable('hosts').set({ allocated_memory_mib: schedulable_memory_mib }).execute();
  cloud.host().startOutside(id);
  await told(id, 'instance.repaired');
  await settled(id, 'stopped');
  assert.equal((await cloud.instance(id)).desiredState, 'stopped');
  assert.equal((await findInstance(cloud.deps.db, id))?.observed_reason, 'guest-shutdown', 'it was given time');
  await cloud.deps.db.updateTable('hosts').set({ allocated_memory_mib }).execute();
});

test('virsh destroy, and a QEMU that died, are repaired', async () => {
  for (const [name, act] of [
    ['destroyed', 'destroyOutside'],
    ['crashed', 'crash'],
  ] as const) {
    const { id } = await cloud.launch(name);
    cloud.host()[act](id);
    await told(id, 'instance.repaired');
    await settled(id, 'running');
    assert.equal(cloud.host().bootCount(id), 2);
  }
});

test('a guest that keeps dying is started ever less often', async () => {
  const { id } = await cloud.launch('dying');
  cloud.host().crash(id);
  await until('it was started again', () => cloud.host().bootCount(id) === 2);
  await settled(id, 'running');
  cloud.host().crash(id);
  await settled(id, 'pending');
  const row = await findInstanceOrder(cloud.deps.db, id);
  assert.equal(row?.failures, 1);
  assert.ok((row?.retry_at?.getTime() ?? 0) > Date.now(), 'the next repair waits');
  await until('it was started once more', () => cloud.host().bootCount(id) === 3);
  assert.equal((await findInstance(cloud.deps.db, id))?.failures, 2);
});

test('deaths of long ago are not held against a guest', async () => {
  const { id } = await cloud.launch('recovered');
  const retryAt = new Date(Date.now() - forgottenAfterMs - 1_000);
  await cloud.deps.db.updateTable('instances').set({ failures: 5, retry_at: retryAt }).where('id', '=', id).execute();
  cloud.host().crash(id);
  await told(id, 'instance.repaired');
  assert.equal((await findInstance(cloud.deps.db, id))?.failures, 1);
});

test('after a restart of the host what ran runs again, and what was stopped stays off', async () => {
  const { id } = await cloud.launch('rebooted');
  const off = await stopped('off');
  cloud.host().rebootHost();
  await told(id, 'instance.repaired');
  await settled(id, 'running');
  assert.equal((await cloud.instance(off)).state, 'stopped');
});

test('virsh undefine of a running instance is repaired without interrupting the guest', async () => {
  const { id } = await cloud.launch('undefined-running');
  cloud.host().undefineOutside(id);
  await told(id, 'instance.repaired');
  await settled(id, 'running');
  assert.equal(cloud.host().bootCount(id), 1);
});

test('virsh undefine of a stopped instance is repaired, and it stays off', async () => {
  const id = await stopped('undefined-stopped');
  cloud.host().undefineOutside(id);
  await told(id, 'instance.repaired');
  await settled(id, 'stopped');
  assert.equal((await cloud.host().listInstances(cloud.deps.cloudId)).find((seen) => seen.id === id)?.state, 'stopped');
});

test('virsh undefine is told also when something else was asked for at that moment', async () => {
  const id = await stopped('undefined-meanwhile');
  await converged(id);
  cloud.host().undefineOutside(id);
  await cloud.succeeded((await startInstance(cloud.deps, cloud.operator, id)).operationId);
  await told(id, 'instance.repaired');
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
});

test('a seed that was removed is made again', async () => {
  const { id } = await cloud.launch('seedless');
  cloud.host().removeSeedOutside(id);
  await told(id, 'instance.repaired');
  await settled(id, 'running');
  assert.equal(cloud.host().bootCount(id), 1);
});

test('a disk that was removed is not replaced by an empty one: the instance shows what is wrong', async () => {
  const { id } = await cloud.launch('diskless');
  cloud.host().removeDiskOutside(id);
  await settled(id, 'error');
  assert.match((await cloud.instance(id)).stateReason ?? '', /lacks a file on host host-1/);
  assert.ok(!(await cloud.eventTypes(id)).includes('instance.repaired'));
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
});

test('virsh suspend and resume are adopted', async () => {
  const { id } = await cloud.launch('paused');
  cloud.host().suspendOutside(id);
  await told(id, 'instance.paused-outside');
  await settled(id, 'paused');
  assert.equal((await cloud.instance(id)).desiredState, 'paused');
  await assert.rejects(startInstance(cloud.deps, cloud.operator, id), { code: 'Conflict' });
  cloud.host().resumeOutside(id);
  await told(id, 'instance.resumed-outside');
  await settled(id, 'running');
  assert.equal((await cloud.instance(id)).desiredState, 'running');
  assert.equal(cloud.host().bootCount(id), 1);
});

test('virsh managedsave and start are adopted, and the room on the host is given back and taken again', async () => {
  const before = await hostRow();
  const { id } = await cloud.launch('saved');
  cloud.host().saveOutside(id);
  await told(id, 'instance.hibernated-outside');
  await settled(id, 'hibernated');
  assert.equal((await cloud.instance(id)).desiredState, 'hibernated');
  assert.equal((await hostRow()).allocated_vcpus, before.allocated_vcpus);
  cloud.host().startOutside(id);
  await told(id, 'instance.started-outside');
  await settled(id, 'running');
  assert.equal((await hostRow()).allocated_vcpus, before.allocated_vcpus + 1);
  assert.equal(cloud.host().bootCount(id), 1);
});

test('of several things done one after the other, the last one stands', async () => {
  const { id } = await cloud.launch('hasty');
  const host = cloud.host();
  host.suspendOutside(id);
  await told(id, 'instance.paused-outside');
  host.saveOutside(id);
  await told(id, 'instance.hibernated-outside');
  host.startOutside(id);
  await told(id, 'instance.started-outside');
  host.saveOutside(id);
  await settled(id, 'hibernated');
  await until('it is what is desired', async () => (await cloud.instance(id)).desiredState === 'hibernated');
  assert.equal(host.bootCount(id), 1);
});

test('a guest that its host saved when it went down is woken when the host is back', async () => {
  const { id } = await cloud.launch('carried');
  const host = cloud.host();
  host.goUnreachable();
  host.saveOutside(id);
  host.rebootHost();
  host.comeBack();
  await told(id, 'instance.repaired');
  await settled(id, 'running');
  assert.equal(host.bootCount(id), 1);
  // As long as it may have stood still, room is looked for often.
  const { db } = cloud.deps;
  await db.updateTable('instances').set({ failures: 20, retry_at: new Date() }).where('id', '=', id).execute();
  host.fillStorage(0);
  host.stopForSpace(id);
  const { retry_at } = await until('room is looked for', async () => {
    const row = await db
      .selectFrom('instances')
      .select(['failures', 'retry_at'])
      .where('id', '=', id)
      .executeTakeFirst();
    return (row?.failures ?? 0) > 20 && row;
  });
  assert.ok(retry_at!.getTime() - Date.now() <= 10_000, retry_at?.toISOString());
  host.fillStorage(null);
});

test('saved memory that somebody removed is told, and the instance is stopped', async () => {
  const { id } = await cloud.launch('forgotten');
  await cloud.succeeded((await hibernateInstance(cloud.deps, cloud.operator, id)).operationId);
  cloud.host().removeSaveOutside(id);
  // Nobody tells of it: it is found when all is looked at.
  cloud.host().goUnreachable();
  cloud.host().comeBack();
  await told(id, 'instance.memory-lost');
  await settled(id, 'stopped');
  assert.equal((await cloud.instance(id)).desiredState, 'stopped');
});

test('virsh domrename is taken back', async () => {
  const { id } = await cloud.launch('renamed');
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id)).operationId);
  const { domainName } = await cloud.instance(id);
  cloud.host().renameOutside(id, 'another');
  await told(id, 'instance.repaired');
  const seen = (await cloud.host().listInstances(cloud.deps.cloudId)).find((instance) => instance.id === id);
  assert.equal(seen?.domainName, domainName);
});

test('a guest that stands still for want of room is told, left so, and goes on when there is room', async () => {
  const { id } = await cloud.launch('full');
  const host = cloud.host();
  host.fillStorage(0);
  host.stopForSpace(id);
  await told(id, 'instance.storage-full');
  await settled(id, 'paused');
  const { desiredState, stateReason } = await cloud.instance(id);
  assert.equal(desiredState, 'running');
  assert.match(stateReason ?? '', /no room where one of its disks lies: see virga pools/);
  const resumed = await resumeInstance(cloud.deps, cloud.operator, id);
  assert.equal((await cloud.failed(resumed.operationId)).code, 'StorageFull');
  assert.equal((await cloud.instance(id)).state, 'paused');
  host.fillStorage(null);
  const again = await resumeInstance(cloud.deps, cloud.operator, id);
  await cloud.succeeded(again.operationId);
  assert.equal((await cloud.instance(id)).state, 'running');
  host.stopForSpace(id);
  await told(id, 'instance.repaired');
  await settled(id, 'running');
  assert.equal(host.bootCount(id), 1);
});

test('a change made outside is no change when a request is still being worked on', async () => {
  const { id } = await cloud.launch('busy');
  cloud.host().answerAcpi(false, id);
  const { operationId } = await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 600 });
  await settled(id, 'stopping');
  cloud.host().stopFromInside(id);
  await cloud.succeeded(operationId);
  assert.ok(!(await cloud.eventTypes(id)).includes('instance.stopped-outside'));
});

test('a domain of this cloud that no row owns is removed, and nobody else’s is touched', async () => {
  const { id } = await cloud.launch('owned');
  const host = cloud.host();
  const row = (await findInstanceOrder(cloud.deps.db, id))!;
  const orphanId = newId('instance');
  const copy = { id: orphanId, uuid: uuidOf(orphanId), domainName: `copy.${orphanId}` };
  const stranger = await strangersInstance(row);
  host.defineForeignDomain('mine');
  await host.applyInstance({ ...desiredInstanceOf(row, cloud.deps.cloudId), ...copy });
  const isThere = async () => (await host.listInstances(cloud.deps.cloudId)).some((seen) => seen.id === orphanId);
  await until('the orphan is gone', async () => !(await isThere()));
  await told(orphanId, 'instance.reaped');
  assert.equal((await cloud.instance(id)).state, 'running');
  assert.equal((await host.listInstances('another-cloud')).find((seen) => seen.id === stranger)?.state, 'running');
  host.undefineForeignDomain('mine');
});

/** An instance of another cloud on the same host, with all it needs there. */
async function strangersInstance(row: InstanceOrder): Promise<Id> {
  const host = cloud.host();
  const cloudId = 'another-cloud';
  const { source } = await cloud.deps.db.selectFrom('images').selectAll().executeTakeFirstOrThrow();
  assert.ok(source.kind === 'file');
  const image = { id: newId('image'), cloudId, generation: 1, source, format: 'raw' as const };
  await host.importImage(image);
  const networkId = newId('network');
  await host.applyNetwork({
    id: networkId,
    cloudId,
    uuid: uuidOf(networkId),
    name: `theirs.${networkId}`,
    generation: 1,
    kind: 'nat',
    cidr: '10.99.0.0/24',
    gateway: '10.99.0.1',
    bridge: 'theirs0',
    leases: [],
  });
  const id = newId('instance');
  const nics = [{ id: newId('networkInterface'), networkId, mac: '52:54:00:99:00:01', address: '10.99.0.2' }];
  const desired = desiredInstanceOf(row, cloudId);
  const rootDisk = { ...desired.rootDisk, id: newId('volume'), imageId: image.id };
  await host.applyInstance({ ...desired, id, uuid: uuidOf(id), domainName: `theirs.${id}`, nics, rootDisk });
  return id;
}

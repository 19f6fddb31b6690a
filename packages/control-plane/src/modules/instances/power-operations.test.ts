import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { deleteInstance, destroyInstance, rebootInstance, startInstance, stopInstance } from './instance-operations.ts';
import { hibernateInstance, resetInstance, resumeInstance, suspendInstance } from './power-operations.ts';
import { updateInstance } from './update-instance.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: [{ cpuThreads: 2 }], settings: { reconcilePeriodMs: 300 } });
  await cloud.prepare();
});
after(() => cloud.close());

type Ask = (deps: SimulatedCloud['deps'], access: SimulatedCloud['operator'], id: InstanceId) => Promise<Answer>;
type Answer = { operationId: Parameters<SimulatedCloud['succeeded']>[0] };

const done = async (ask: Ask, id: InstanceId) =>
  cloud.succeeded((await ask(cloud.deps, cloud.operator, id)).operationId);
const remove = (id: InstanceId) => done(deleteInstance, id);
const host = () => cloud.deps.db.selectFrom('hosts').selectAll().executeTakeFirstOrThrow();
/** What was told of it, but what was asked for. */
const told = async (id: InstanceId) => (await cloud.eventTypes(id)).filter((type) => !type.endsWith('-requested'));

test('an instance is paused, let go on, hibernated, woken and reset, each told as what it is', async () => {
  const { id } = await cloud.launch('web');
  const { startedAt } = await cloud.instance(id);
  const before = await host();

  await done(suspendInstance, id);
  assert.equal((await cloud.instance(id)).state, 'paused');
  assert.equal((await host()).allocated_vcpus, before.allocated_vcpus, 'a paused one keeps its room');
  await done(resumeInstance, id);
  assert.equal((await cloud.instance(id)).state, 'running');
  assert.equal((await cloud.instance(id)).startedAt, startedAt, 'it has not been started');

  await done(hibernateInstance, id);
  assert.equal((await cloud.instance(id)).state, 'hibernated');
  assert.equal((await host()).allocated_vcpus, before.allocated_vcpus - 1, 'its room is free');
  await done(startInstance, id);
  assert.equal((await cloud.instance(id)).state, 'running');
  assert.equal((await host()).allocated_vcpus, before.allocated_vcpus);
  assert.ok((await cloud.instance(id)).startedAt! > startedAt!);
  assert.equal(cloud.host().bootCount(id), 1, 'it went on where it was');

  await done(resetInstance, id);
  assert.equal(cloud.host().bootCount(id), 2);
  const expected = ['started', 'paused', 'resumed', 'hibernated', 'started', 'reset'];
  assert.deepEqual(
    await told(id),
    expected.map((what) => `instance.${what}`),
  );
  await remove(id);
});

test('a start can leave a guest standing still', async () => {
  const { id } = await cloud.launch('still');
  await done(stopInstance, id);
  const { operationId } = await startInstance(cloud.deps, cloud.operator, id, undefined, { paused: true });
  await cloud.succeeded(operationId);
  assert.equal((await cloud.instance(id)).state, 'paused');
  assert.equal(cloud.host().bootCount(id), 1);
  await done(resumeInstance, id);
  assert.equal(cloud.host().bootCount(id), 2);
  await assert.rejects(startInstance(cloud.deps, cloud.operator, id, undefined, { paused: true }), {
    code: 'Conflict',
  });
  await remove(id);
});

test('what is so already, or on its way, shares its operation', async () => {
  const { id } = await cloud.launch('shared');
  const reached = cloud.freezeAt('hibernate');
  const first = await hibernateInstance(cloud.deps, cloud.operator, id);
  await reached;
  assert.equal((await cloud.instance(id)).state, 'hibernating');
  const second = await hibernateInstance(cloud.deps, cloud.operator, id);
  assert.equal(second.operationId, first.operationId);
  await assert.rejects(stopInstance(cloud.deps, cloud.operator, id), { code: 'Conflict' });
  await cloud.kill();
  await cloud.startAgain();
  await cloud.succeeded(first.operationId);
  await done(hibernateInstance, id);
  assert.equal((await cloud.instance(id)).generation, first.instance.generation);
  await remove(id);
});

test('a hibernated instance cannot be stopped, only woken or cut off, which gives its memory up', async () => {
  const { id } = await cloud.launch('kept');
  await done(hibernateInstance, id);
  await assert.rejects(stopInstance(cloud.deps, cloud.operator, id), { code: 'Conflict' });
  await done(destroyInstance, id);
  assert.equal((await cloud.instance(id)).state, 'stopped');
  await done(startInstance, id);
  assert.equal(cloud.host().bootCount(id), 2);
  await remove(id);
});

test('a stop that finds memory saved meanwhile leaves it saved, and says so', async () => {
  const { id } = await cloud.launch('faster');
  cloud.host().goUnreachable();
  cloud.host().saveOutside(id);
  const { operationId } = await stopInstance(cloud.deps, cloud.operator, id);
  cloud.host().comeBack();
  assert.equal((await cloud.failed(operationId)).code, 'Conflict');
  await until('hibernated', async () => (await cloud.instance(id)).state === 'hibernated');
  assert.equal((await cloud.instance(id)).desiredState, 'hibernated');
  await done(startInstance, id);
  assert.equal(cloud.host().bootCount(id), 1);
  await remove(id);
});

test('a wake needs room on the host', async () => {
  const { id } = await cloud.launch('crowded');
  await done(hibernateInstance, id);
  const row = await host();
  await cloud.deps.db.updateTable('hosts').set({ allocated_memory_mib: 100_000_000 }).execute();
  await assert.rejects(startInstance(cloud.deps, cloud.operator, id), { code: 'NoCapacity' });
  await cloud.deps.db.updateTable('hosts').set({ allocated_memory_mib: row.allocated_memory_mib }).execute();
  await done(startInstance, id);
  await remove(id);
});

test('memory for which there is no room fails the hibernation, and the guest runs on for good', async () => {
  const { id } = await cloud.launch('large');
  cloud.host().fillStorage(0);
  const { operationId } = await hibernateInstance(cloud.deps, cloud.operator, id);
  assert.equal((await cloud.failed(operationId)).code, 'StorageFull');
  cloud.host().fillStorage(null);
  await until('as it was', async () => (await cloud.instance(id)).desiredState === 'running');
  const { state, stateReason } = await cloud.instance(id);
  assert.deepEqual([state, stateReason], ['running', null]);
  assert.equal((await told(id)).at(-1), 'instance.failed');
  await remove(id);
});

test('memory that cannot be read is told once, and the instance is stopped and can be started', async () => {
  const { id } = await cloud.launch('broken');
  await done(hibernateInstance, id);
  const before = await host();
  cloud.host().breakSave(id);
  const { operationId } = await startInstance(cloud.deps, cloud.operator, id);
  assert.equal((await cloud.failed(operationId)).code, 'SavedMemoryUnusable');
  await until('stopped', async () => (await cloud.instance(id)).state === 'stopped');
  assert.equal((await host()).allocated_vcpus, before.allocated_vcpus);
  assert.ok((await told(id)).includes('instance.memory-lost'));
  await done(startInstance, id);
  await remove(id);
});

test('memory that somebody removed just before a wake is told, and the guest boots', async () => {
  const { id } = await cloud.launch('gone');
  await done(hibernateInstance, id);
  cloud.host().removeSaveOutside(id);
  await done(startInstance, id);
  assert.deepEqual((await told(id)).slice(-2), ['instance.started', 'instance.memory-lost']);
  assert.equal(cloud.host().bootCount(id), 2);
  await remove(id);
});

test('a power cycle waits for the guest and cuts it off at its time, and is one reboot', async () => {
  const { id } = await cloud.launch('cycled');
  cloud.host().answerAcpi(false, id);
  const startedAt = (await cloud.instance(id)).startedAt!;
  const asked = await rebootInstance(cloud.deps, cloud.operator, id, { mode: 'cycle', timeoutSeconds: 1 });
  assert.equal(asked.instance.state, 'rebooting');
  await cloud.succeeded(asked.operationId);
  assert.equal(cloud.host().bootCount(id), 2);
  assert.ok((await cloud.instance(id)).startedAt! > startedAt);
  cloud.host().answerAcpi(true, id);
  const again = await rebootInstance(cloud.deps, cloud.operator, id, { mode: 'cycle', timeoutSeconds: 3600 });
  await cloud.succeeded(again.operationId);
  assert.equal(cloud.host().bootCount(id), 3);
  assert.deepEqual((await told(id)).slice(1), ['instance.rebooted', 'instance.rebooted']);
  await remove(id);
});

test('a reboot by an agent that does not answer fails, is not tried again, and nothing else is wrong', async () => {
  const { id } = await cloud.launch('mute');
  cloud.host().muteGuestAgent(true, id);
  const { operationId } = await rebootInstance(cloud.deps, cloud.operator, id, { mode: 'agent' });
  assert.equal((await cloud.failed(operationId)).code, 'GuestUnavailable');
  await until('as it was', async () => (await cloud.instance(id)).state === 'running');
  cloud.host().muteGuestAgent(false, id);
  await done(suspendInstance, id);
  await done(resumeInstance, id);
  assert.equal(cloud.host().bootCount(id), 1);
  await cloud.succeeded((await rebootInstance(cloud.deps, cloud.operator, id, { mode: 'agent' })).operationId);
  assert.equal(cloud.host().bootCount(id), 2);
  await remove(id);
});

test('a name that is given while it runs, or hibernates, is that of its domain once it is off', async () => {
  const { id } = await cloud.launch('old');
  const domainName = async () =>
    (await cloud.host().listInstances(cloud.deps.cloudId)).find((it) => it.id === id)?.domainName;
  const rename = async (name: string) =>
    cloud.succeeded((await updateInstance(cloud.deps, cloud.operator, id, { name })).operationId);
  await rename('new');
  assert.equal(await domainName(), `old.${id}`);
  await done(hibernateInstance, id);
  await rename('newer');
  assert.equal(await domainName(), `old.${id}`);
  await done(startInstance, id);
  assert.equal(cloud.host().bootCount(id), 1);
  await done(stopInstance, id);
  await until('the domain has the name', async () => (await domainName()) === `newer.${id}`);
  assert.ok(!(await told(id)).includes('instance.repaired'));
  await remove(id);
});

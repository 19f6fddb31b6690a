// Other sizes on a simulated host: what is promised of the host, what guests show, and what is refused before anything changes.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import type { ResizeInstance } from '@virga/contract/rest/instance-resize';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { deleteInstance, launchInstance, listInstances, startInstance, stopInstance } from './instance-operations.ts';
import { resizeInstance } from './resize-instance.ts';

let cloud: SimulatedCloud;
before(async () => {
  // 3,584 MiB and 8 vCPUs can be promised.
  cloud = await SimulatedCloud.start({ hosts: [{ cpuThreads: 2, memoryMib: 4096 }] });
  await cloud.prepare();
});
after(() => cloud.close());
afterEach(async () => {
  for (const { id } of (await listInstances(cloud.deps.db, cloud.operator, {})).items) {
    await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  }
  await cloud.assertNothingLeft();
});

async function launch(changes: Partial<LaunchInstance> = {}): Promise<Instance> {
  const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, {
    ...launchOf('web'),
    ...changes,
  });
  await cloud.succeeded(operationId);
  return cloud.instance(instance.id);
}

const ask = (id: InstanceId, body: ResizeInstance) => resizeInstance(cloud.deps, cloud.operator, id, body);

async function resize(id: InstanceId, body: ResizeInstance) {
  const operation = await cloud.succeeded((await ask(id, body)).operationId);
  return { operation, instance: await cloud.instance(id) };
}

async function stop(id: InstanceId): Promise<void> {
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 0 })).operationId);
}

async function start(id: InstanceId): Promise<void> {
  await cloud.succeeded((await startInstance(cloud.deps, cloud.operator, id)).operationId);
}

async function promised(): Promise<[number, number]> {
  const host = await cloud.deps.db.selectFrom('hosts').selectAll().executeTakeFirstOrThrow();
  return [host.allocated_vcpus, host.allocated_memory_mib];
}

const shown = ({ observedVcpus, observedMemoryMib }: Instance) => [observedVcpus, observedMemoryMib];
const room = { maxVcpus: 4, maxMemoryMib: 2048 };

test('an instance shows its size, how far it can grow, and what its guest has while it is on', async () => {
  const { id, ...web } = await launch(room);
  assert.deepEqual([web.vcpus, web.maxVcpus, web.memoryMib, web.maxMemoryMib], [1, 4, 256, 2048]);
  assert.deepEqual(shown({ id, ...web }), [1, 256]);
  await stop(id);
  assert.deepEqual(shown(await cloud.instance(id)), [null, null]);
});

test('a running guest grows where it is, and the host gives the room in the same moment', async () => {
  const { id } = await launch(room);
  const { operation, instance } = await resize(id, { vcpus: 3, memoryMib: 1024, diskGib: 5 });
  assert.equal(operation.kind, 'instance.resize');
  assert.deepEqual([instance.vcpus, instance.memoryMib, instance.diskBytes], [3, 1024, 5 * 1024 ** 3]);
  assert.deepEqual(shown(instance), [3, 1024]);
  assert.deepEqual(await promised(), [3, 1024]);
  assert.equal(cloud.host().diskSizeBytes(id), 5 * 1024 ** 3);
  assert.equal(cloud.host().bootCount(id), 1);
  assert.equal(instance.startedAt, (await cloud.instance(id)).startedAt);
  assert.deepEqual((await cloud.eventTypes(id)).slice(-2), ['instance.resize-requested', 'instance.resized']);
});

test('a type brings its vCPUs and its memory', async () => {
  const { id } = await launch(room);
  const { instance } = await resize(id, { type: 'medium' });
  assert.deepEqual(
    [instance.type, instance.vcpus, instance.memoryMib, instance.diskBytes],
    ['medium', 2, 2048, 1024 ** 3],
  );
});

test('memory that a guest keeps is promised to nobody else until it has given it back', async () => {
  const { id } = await launch({ ...room, type: 'medium' });
  cloud.host().keepMemory(true, id);
  const { instance } = await resize(id, { memoryMib: 512 });
  assert.deepEqual([instance.memoryMib, ...shown(instance)], [512, 2, 2048]);
  assert.deepEqual(await promised(), [2, 2048]);
  await assert.rejects(launch({ name: 'other', type: 'medium' }), { code: 'NoCapacity' });
  cloud.host().keepMemory(false, id);
  await until('the memory can be promised again', async () => (await promised())[1] === 512);
  assert.deepEqual(shown(await cloud.instance(id)), [2, 512]);
  await launch({ name: 'other', type: 'medium' });
});

test('what a guest keeps is its own when it grows again, and given back when it stops', async () => {
  const { id } = await launch({ ...room, type: 'medium' });
  cloud.host().keepMemory(true, id);
  await resize(id, { memoryMib: 512 });
  await resize(id, { memoryMib: 1024 });
  assert.deepEqual(await promised(), [2, 2048]);
  await stop(id);
  assert.deepEqual(await promised(), [0, 0]);
  await start(id);
  assert.deepEqual(await promised(), [2, 1024]);
  assert.deepEqual(shown(await cloud.instance(id)), [2, 1024]);
});

test('a guest does not grow beyond what its host has, and nothing has changed then', async () => {
  const { id } = await launch({ maxVcpus: 64, maxMemoryMib: 4096 });
  await launch({ name: 'other', type: 'medium' });
  const before = await cloud.instance(id);
  await assert.rejects(ask(id, { memoryMib: 2048 }), { code: 'NoCapacity' });
  await assert.rejects(ask(id, { vcpus: 7 }), { code: 'NoCapacity' });
  await assert.rejects(ask(id, { vcpus: 9 }), { code: 'InstanceTypeTooLarge', field: '/vcpus' });
  await assert.rejects(ask(id, { memoryMib: 4096 }), { code: 'InstanceTypeTooLarge', field: '/memoryMib' });
  assert.deepEqual(await cloud.instance(id), before);
  assert.deepEqual(await promised(), [3, 256 + 2048]);
  await resize(id, { memoryMib: 3584 - 2048 });
});

test('of two that grow at once into room for one, one is refused', async () => {
  const first = await launch({ maxMemoryMib: 2048 });
  const second = await launch({ name: 'second', maxMemoryMib: 2048 });
  const outcomes = await Promise.allSettled([first, second].map(({ id }) => resize(id, { memoryMib: 2048 })));
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  assert.deepEqual(await promised(), [2, 2048 + 256]);
});

test('what a running guest cannot have is refused with what to do, and nothing has changed', async () => {
  const { id } = await launch({ type: 'medium' });
  const before = await cloud.instance(id);
  for (const body of [{ vcpus: 4 }, { vcpus: 1 }, { memoryMib: 3072 }, { maxVcpus: 4 }, { type: 'small' }]) {
    await assert.rejects(ask(id, body), { code: 'Conflict', action: /--restart/ }, JSON.stringify(body));
  }
  await assert.rejects(ask(id, { diskGib: 1, restart: true }), { code: 'InvalidArgument', field: '/diskGib' });
  await assert.rejects(ask(id, { type: 'vast' }), { code: 'NotFound', field: '/type' });
  assert.deepEqual(await cloud.instance(id), before);
});

test('with a restart it comes back with that size, and only a guest that needs one is restarted', async () => {
  const { id, startedAt } = await launch({ type: 'medium' });
  const { instance } = await resize(id, { type: 'small', restart: true });
  assert.deepEqual(
    [instance.state, instance.type, instance.maxVcpus, instance.maxMemoryMib],
    ['running', 'small', 1, 512],
  );
  assert.deepEqual(shown(instance), [1, 512]);
  assert.deepEqual(await promised(), [1, 512]);
  assert.equal(cloud.host().bootCount(id), 2);
  assert.notEqual(instance.startedAt, startedAt);
  assert.ok((await cloud.eventTypes(id)).includes('instance.resized'));
  await resize(id, { diskGib: 50, restart: true });
  assert.equal(cloud.host().bootCount(id), 2);
});

test('the room for a larger size is there before a guest is shut down for it', async () => {
  const { id } = await launch();
  await launch({ name: 'other', type: 'medium' });
  await assert.rejects(ask(id, { type: 'medium', restart: true }), { code: 'NoCapacity' });
  assert.equal((await cloud.instance(id)).state, 'running');
  const reached = cloud.freezeAt('shutdown');
  const { operationId } = await ask(id, { memoryMib: 1024, restart: true });
  await reached;
  assert.deepEqual(await promised(), [3, 1024 + 2048]);
  await cloud.kill();
  await cloud.startAgain();
  await cloud.succeeded(operationId);
  assert.deepEqual(await promised(), [3, 1024 + 2048]);
  assert.deepEqual(shown(await cloud.instance(id)), [1, 1024]);
});

test('one that is off changes at its next start, which needs the room for it', async () => {
  const { id } = await launch();
  await stop(id);
  const { instance } = await resize(id, { type: 'medium', diskGib: 3 });
  assert.deepEqual([instance.state, instance.vcpus, instance.maxMemoryMib], ['stopped', 2, 2048]);
  assert.equal(cloud.host().diskSizeBytes(id), 3 * 1024 ** 3);
  assert.deepEqual(await promised(), [0, 0]);
  const other = await launch({ name: 'other', type: 'medium' });
  await assert.rejects(startInstance(cloud.deps, cloud.operator, id), { code: 'NoCapacity' });
  await stop(other.id);
  await start(id);
  assert.deepEqual(shown(await cloud.instance(id)), [2, 2048]);
  await assert.rejects(ask(other.id, { vcpus: 9 }), { code: 'InstanceTypeTooLarge' });
});

test('asking for the size that it has succeeds at once, and changes nothing', async () => {
  const { id, generation } = await launch();
  const { instance } = await resize(id, { type: 'tiny', vcpus: 1 });
  assert.equal(instance.generation, generation);
});

test('an instance that is on its way to somewhere else is not resized', async () => {
  const { id } = await launch();
  cloud.host().answerAcpi(false, id);
  const { operationId } = await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 600 });
  await assert.rejects(ask(id, { diskGib: 3 }), { code: 'Conflict', detail: /is stopping/ });
  await stop(id);
  await cloud.ended(operationId);
  cloud.host().failNext('start', 'HypervisorRefused', { times: 1_000 });
  const starting = await startInstance(cloud.deps, cloud.operator, id);
  await cloud.failed(starting.operationId);
  const { operationId: resized } = await ask(id, { type: 'small' });
  cloud.host().stopFailing();
  // It may have been tried once more before.
  await cloud.ended(resized);
  await until('it has come up with the new size', async () => {
    const seen = await cloud.instance(id);
    return seen.state === 'running' && shown(seen).join() === '1,512';
  });
});

test('the newest of several sizes is what it comes to', async () => {
  const { id } = await launch(room);
  const asked = await Promise.all([512, 1024, 2048, 768].map((memoryMib) => ask(id, { memoryMib })));
  for (const { operationId } of asked) await cloud.ended(operationId);
  const { memoryMib } = await cloud.instance(id);
  await until('the guest has it', async () => (await cloud.instance(id)).observedMemoryMib === memoryMib);
  await until('the host holds no more', async () => (await promised())[1] === memoryMib);
});

test('a resize that the host refuses says so, and another one is tried', async () => {
  const { id } = await launch(room);
  cloud.host().failNext('vcpus', 'HypervisorRefused', { times: 1_000 });
  await cloud.failed((await ask(id, { vcpus: 2 })).operationId);
  assert.equal((await cloud.instance(id)).state, 'error');
  cloud.host().stopFailing();
  const { instance } = await resize(id, { vcpus: 3 });
  assert.deepEqual([instance.state, ...shown(instance)], ['running', 3, 256]);
  assert.deepEqual(await promised(), [3, 256]);
});

for (const point of ['vcpus', 'memory', 'grow-disk', 'metadata', 'after applyInstance']) {
  test(`killed at ${point} of a resize`, async () => {
    const { id } = await launch(room);
    const reached = cloud.freezeAt(point);
    const { operationId } = await ask(id, { vcpus: 2, memoryMib: 1024, diskGib: 2 });
    await reached;
    await cloud.kill();
    await cloud.startAgain();
    await cloud.succeeded(operationId);
    assert.deepEqual(shown(await cloud.instance(id)), [2, 1024]);
    assert.deepEqual(await promised(), [2, 1024]);
    assert.equal(cloud.host().diskSizeBytes(id), 2 * 1024 ** 3);
    assert.equal(cloud.host().bootCount(id), 1);
  });
}

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { registerImage } from '../images/image-operations.ts';
import {
  deleteInstance,
  destroyInstance,
  getInstance,
  launchInstance,
  rebootInstance,
  startInstance,
  stopInstance,
} from './instance-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ settings: { reconcilePeriodMs: 300 } });
  await cloud.prepare();
});
after(() => cloud.close());

const remove = async (id: Parameters<typeof deleteInstance>[2]) =>
  cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);

test('an instance is launched, stopped, started, rebooted, cut off and deleted, and nothing is left', async () => {
  const launched = await launchInstance(cloud.deps, cloud.operator, launchOf('web'));
  assert.equal(launched.instance.state, 'pending');
  await cloud.succeeded(launched.operationId);
  const { id } = launched.instance;
  const state = async () => (await cloud.instance(id)).state;
  assert.equal(await state(), 'running');
  assert.equal((await cloud.instance(id)).domainName, `web.${id}`);

  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id)).operationId);
  assert.equal(await state(), 'stopped');
  const stopped = await cloud.deps.db.selectFrom('hosts').selectAll().executeTakeFirstOrThrow();
  assert.equal(stopped.allocated_memory_mib, 0, 'a stopped instance holds no room');

  await cloud.succeeded((await startInstance(cloud.deps, cloud.operator, id)).operationId);
  assert.equal(await state(), 'running');
  const boots = cloud.host().bootCount(id);
  await cloud.succeeded((await rebootInstance(cloud.deps, cloud.operator, id, { hard: true })).operationId);
  assert.equal(cloud.host().bootCount(id), boots + 1);

  await cloud.succeeded((await destroyInstance(cloud.deps, cloud.operator, id)).operationId);
  assert.equal(await state(), 'stopped');
  assert.deepEqual(
    (await cloud.eventTypes(id)).filter((type) => !type.endsWith('-requested')),
    ['instance.started', 'instance.stopped', 'instance.started', 'instance.rebooted', 'instance.stopped'],
  );
  await remove(id);
  await assert.rejects(getInstance(cloud.deps.db, cloud.operator, id), { code: 'NotFound' });
  await cloud.assertNothingLeft();
});

test('a guest that ignores the power button is cut off when its time is over, and holds up nobody meanwhile', async () => {
  const stubborn = await cloud.launch('stubborn');
  cloud.host().answerAcpi(false, stubborn.id);
  const stop = await stopInstance(cloud.deps, cloud.operator, stubborn.id, { timeoutSeconds: 2 });
  await until('it is shutting down', async () => (await cloud.instance(stubborn.id)).state === 'stopping');
  const other = await cloud.launch('other');
  assert.equal((await cloud.instance(stubborn.id)).observedState, 'stopping');
  await cloud.succeeded(stop.operationId);
  assert.equal((await cloud.instance(stubborn.id)).state, 'stopped');
  for (const { id } of [stubborn, other]) await remove(id);
});

test('of two stops the earlier deadline counts, and both share one operation', async () => {
  const { id } = await cloud.launch('twice');
  cloud.host().answerAcpi(false, id);
  const patient = await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 600 });
  const impatient = await destroyInstance(cloud.deps, cloud.operator, id);
  assert.equal(impatient.operationId, patient.operationId);
  await cloud.succeeded(patient.operationId);
  await remove(id);
});

test('asking for what is already so succeeds at once, without a new generation', async () => {
  const instance = await cloud.launch('same');
  const started = await startInstance(cloud.deps, cloud.operator, instance.id);
  assert.equal((await cloud.succeeded(started.operationId)).kind, 'instance.start');
  assert.equal(started.instance.generation, instance.generation);
  await remove(instance.id);
});

test('a delete overtakes a stop that is under way', async () => {
  const { id } = await cloud.launch('hurried');
  cloud.host().answerAcpi(false, id);
  const stop = await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 600 });
  await remove(id);
  assert.equal((await cloud.failed(stop.operationId)).code, 'Conflict');
});

test('a launch that the host refuses is undone, and its operation keeps the error', async () => {
  for (const step of ['root-disk', 'seed', 'lease', 'define', 'start']) {
    cloud.host().failNext(step, 'HypervisorRefused');
    const { operationId, instance } = await launchInstance(cloud.deps, cloud.operator, launchOf('unlucky'));
    const problem = await cloud.failed(operationId);
    assert.equal(problem.code, 'HypervisorRefused', step);
    await cloud.assertNothingLeft();
    assert.ok((await cloud.eventTypes(instance.id)).includes('instance.launch-failed'));
  }
});

test('a launch on a full disk is undone, and says so', async () => {
  cloud.host().fillStorage(0);
  const { operationId } = await launchInstance(cloud.deps, cloud.operator, launchOf('full'));
  assert.equal((await cloud.failed(operationId)).code, 'StorageFull');
  cloud.host().fillStorage(null);
  await cloud.assertNothingLeft();
});

test('a mistake of the agent ends the operation too', async () => {
  cloud.host().failNext('applyInstance', new TypeError('cannot read properties of undefined'));
  const { operationId } = await launchInstance(cloud.deps, cloud.operator, launchOf('bug'));
  const problem = await cloud.failed(operationId);
  assert.equal(problem.code, 'Internal');
  assert.doesNotMatch(JSON.stringify(problem), /properties of undefined/);
  await cloud.assertNothingLeft();
});

test('a start that the host refuses fails its operation, shows as an error, and mends itself when the cause goes', async () => {
  const { id } = await cloud.launch('moody');
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id)).operationId);
  cloud.host().failNext('start', 'HypervisorRefused');
  const { operationId } = await startInstance(cloud.deps, cloud.operator, id);
  assert.equal((await cloud.failed(operationId)).code, 'HypervisorRefused');
  const failed = await cloud.instance(id);
  assert.equal(failed.state, 'error');
  assert.match(failed.stateReason ?? '', /told to fail/);
  await until('it runs', async () => (await cloud.instance(id)).state === 'running');
  await remove(id);
});

test('a delete that the host refuses at first is tried again', async () => {
  const { id } = await cloud.launch('clinging');
  cloud.host().failNext('undefine', 'HypervisorRefused');
  await remove(id);
  await cloud.assertNothingLeft();
});

test('a launch waits for a host that goes away, says so, and goes on when it is back', async () => {
  cloud.host().goUnreachable();
  await until('the host is noticed to be away', async () => {
    const { state } = await cloud.deps.db.selectFrom('hosts').select('state').executeTakeFirstOrThrow();
    return state === 'unreachable';
  });
  await assert.rejects(launchInstance(cloud.deps, cloud.operator, launchOf('early')), { code: 'HostUnavailable' });
  // As when the host goes away just after the request.
  await cloud.deps.db.updateTable('hosts').set({ state: 'ready' }).execute();
  const { operationId, instance } = await launchInstance(cloud.deps, cloud.operator, launchOf('early'));
  await until('the operation says what it waits for', async () => {
    const operation = await cloud.deps.db
      .selectFrom('operations')
      .select('message')
      .where('id', '=', operationId)
      .executeTakeFirstOrThrow();
    return /waiting for host host-1/.test(operation.message);
  });
  cloud.host().comeBack();
  await cloud.succeeded(operationId);
  await remove(instance.id);
});

test('a delete while the host is away completes when it is back', async () => {
  const { id } = await cloud.launch('remote');
  cloud.host().goUnreachable();
  const { operationId } = await deleteInstance(cloud.deps, cloud.operator, id);
  await until('the instance says why', async () =>
    /cannot be reached/.test((await cloud.instance(id)).stateReason ?? ''),
  );
  assert.equal((await cloud.instance(id)).state, 'deleting');
  cloud.host().comeBack();
  await cloud.succeeded(operationId);
  await cloud.assertNothingLeft();
});

test('a host that lacks the image gets it when an instance needs it', async () => {
  const image = await cloud.deps.db.selectFrom('images').selectAll().executeTakeFirstOrThrow();
  await cloud.host().deleteImage({ id: image.id, cloudId: cloud.deps.cloudId });
  const { id } = await cloud.launch('provided');
  await remove(id);
});

test('an image whose file is gone fails the launch on a host that lacks it', async () => {
  const { operationId } = await registerImage(cloud.deps, cloud.administrator, {
    name: 'nowhere',
    path: '/nonexistent/disk.raw',
    format: 'raw',
  });
  assert.equal((await cloud.failed(operationId)).code, 'NotFound');
});

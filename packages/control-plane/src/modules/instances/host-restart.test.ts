// What a restart of the host and a crash of the guest mean, by the policies of the instance.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import type { LaunchInstance } from '@virga/contract/rest/instances';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { deleteInstance, launchInstance, stopInstance } from './instance-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: [{ cpuThreads: 2 }] });
  await cloud.prepare();
});
after(() => cloud.close());

type Policies = Pick<LaunchInstance, 'autostart' | 'crashPolicy'>;

async function launched(name: string, policies: Policies) {
  const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, {
    ...launchOf(name),
    ...policies,
  });
  await cloud.succeeded(operationId);
  return instance.id;
}
async function stopped(name: string, policies: Policies) {
  const id = await launched(name, policies);
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id)).operationId);
  return id;
}
const stateOf = async (id: InstanceId) => (await cloud.instance(id)).state;
const settled = (id: InstanceId, state: string) =>
  until(`${id} is ${state}`, async () => (await stateOf(id)) === state);
const isKnown = (bootId: string) =>
  until(`the boot ${bootId} is known`, async () => {
    const { boot_id } = await cloud.deps.db.selectFrom('hosts').select('boot_id').executeTakeFirstOrThrow();
    return boot_id === bootId;
  });
const removed = async (...ids: InstanceId[]) => {
  for (const id of ids) await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  await cloud.assertNothingLeft();
};

/** Six instances: each policy, running and stopped. */
async function everyPolicy() {
  return {
    restoreOn: await launched('restore-on', {}),
    neverOn: await launched('never-on', { autostart: 'never' }),
    alwaysOn: await launched('always-on', { autostart: 'always' }),
    restoreOff: await stopped('restore-off', {}),
    neverOff: await stopped('never-off', { autostart: 'never' }),
    alwaysOff: await stopped('always-off', { autostart: 'always' }),
  };
}

async function assertFollowed(ids: Awaited<ReturnType<typeof everyPolicy>>) {
  const boots = () => Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, cloud.host().bootCount(id)]));
  const expected = { restoreOn: 2, neverOn: 1, alwaysOn: 2, restoreOff: 1, neverOff: 1, alwaysOff: 2 };
  // Until the server has heard of the restart, rows say what was so before it.
  await until('they have booted', () => boots().restoreOn! >= 2 && boots().alwaysOn! >= 2 && boots().alwaysOff! >= 2);
  for (const id of [ids.restoreOn, ids.alwaysOn, ids.alwaysOff]) await settled(id, 'running');
  for (const id of [ids.neverOn, ids.restoreOff, ids.neverOff]) await settled(id, 'stopped');
  const count = async (id: typeof ids.neverOn, type: string) =>
    (await cloud.eventTypes(id)).filter((one) => one === type).length;
  assert.equal(await count(ids.neverOn, 'instance.left-off'), 1);
  assert.equal(await count(ids.alwaysOff, 'instance.autostarted'), 1);
  assert.equal(await count(ids.alwaysOff, 'instance.start-requested'), 1);
  assert.deepEqual(boots(), expected);
  const host = await cloud.deps.db.selectFrom('hosts').selectAll().executeTakeFirstOrThrow();
  assert.equal(host.allocated_vcpus, 3);
}

test('after a restart of the host every instance is as its autostart policy says, once', async () => {
  const ids = await everyPolicy();
  const startedAt = async () => (await cloud.instance(ids.restoreOn)).startedAt;
  const before = await startedAt();
  cloud.host().rebootHost();
  await isKnown('boot-2');
  await assertFollowed(ids);
  await until('its start is the one after the restart', async () => (await startedAt())! > before!);
  await removed(...Object.values(ids));
});

test('a host that was restarted while no server ran is looked after at the next start', async () => {
  const ids = await everyPolicy();
  await cloud.stop();
  cloud.host().rebootHost();
  await cloud.startAgain();
  await assertFollowed(ids);
  await removed(...Object.values(ids));
});

for (const point of ['start', 'metadata', 'after applyInstance']) {
  test(`killed at ${point} of what a restart of the host leads to, it goes on`, async () => {
    const ids = await everyPolicy();
    await cloud.stop();
    cloud.host().rebootHost();
    await cloud.startAgain();
    const reached = cloud.freezeAt(point);
    await reached;
    await cloud.kill();
    await cloud.startAgain();
    await assertFollowed(ids);
    await removed(...Object.values(ids));
  });
}

test('a server that starts anew on a host that has not is no restart of the host', async () => {
  const ids = [
    await launched('never-on', { autostart: 'never' }),
    await stopped('always-off', { autostart: 'always' }),
  ];
  await cloud.stop();
  await cloud.startAgain();
  cloud.host().goUnreachable();
  cloud.host().comeBack();
  await cloud.hostsAreReady();
  const again = await cloud.launch('later');
  assert.deepEqual([await stateOf(ids[0]!), await stateOf(ids[1]!)], ['running', 'stopped']);
  await removed(...ids, again.id);
});

test('what is always to run stays off when its host has no room, and that is told', async () => {
  const off = await stopped('no-room', { autostart: 'always' });
  const others: InstanceId[] = [];
  for (let n = 0; n < 8; n++) others.push(await launched(`full-${n}`, {}));
  cloud.host().rebootHost();
  await until('it is told', async () => (await cloud.eventTypes(off)).includes('instance.autostart-refused'));
  for (const id of others) await settled(id, 'running');
  assert.equal(await stateOf(off), 'stopped');
  await removed(off, ...others);
});

test('a guest that crashes is started again, or left off where its policy says so', async () => {
  const [again, left] = [await launched('again', {}), await launched('left', { crashPolicy: 'stop' })];
  for (const id of [again, left]) cloud.host().crash(id);
  await until('one is repaired', async () => (await cloud.eventTypes(again)).includes('instance.repaired'));
  await until('one is told of', async () => (await cloud.eventTypes(left)).includes('instance.crashed'));
  await settled(left, 'stopped');
  assert.deepEqual([await stateOf(again), (await cloud.instance(left)).desiredState], ['running', 'stopped']);
  // Cut off is no crash.
  const cut = await launched('cut', { crashPolicy: 'stop' });
  cloud.host().destroyOutside(cut);
  await until('it is repaired', async () => (await cloud.eventTypes(cut)).includes('instance.repaired'));
  await removed(again, left, cut);
});

test('a guest that crashed while no server ran is left off where its policy says so', async () => {
  const id = await launched('crashed-alone', { crashPolicy: 'stop' });
  await cloud.stop();
  cloud.host().crash(id);
  await cloud.startAgain();
  await until('it is told of', async () => (await cloud.eventTypes(id)).includes('instance.crashed'));
  assert.equal(cloud.host().bootCount(id), 1);
  await removed(id);
});

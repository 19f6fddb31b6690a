import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type InstanceId, newId, type UserId } from '@virga/contract/ids';
import type { CreateSchedule } from '@virga/contract/rest/instance-schedules';
import type { ProjectRole } from '@virga/contract/route';
import { SettableClock } from '@virga/testing/settable-clock';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { authorize, type ProjectAccess } from '../../access/authorizer.ts';
import { systemAccess } from '../../access/system-access.ts';
import { inTransaction } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { insertMember } from '../projects/project-operations.ts';
import { deleteInstance, startInstance } from './instance-operations.ts';
import { createSchedule, deleteSchedule, listSchedules } from './schedule-operations.ts';

const minutes = (count: number) => count * 60_000;
/** Seven in the morning of a Tuesday, in UTC. */
const clock = new SettableClock(new Date('2030-01-01T07:00:00.000Z'));
let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ clock });
  await cloud.prepare();
});
after(() => cloud.close());

const create = (id: InstanceId, body: CreateSchedule, access: ProjectAccess<'operator'> = cloud.operator) =>
  createSchedule(cloud.deps, access, id, body);
async function pass(ms: number): Promise<void> {
  clock.forward(ms);
  await notify(cloud.deps.db, 'due');
}
/** Until just after the next time of that hour and minute, in UTC. */
async function passUntil(time: string): Promise<void> {
  const now = clock.now();
  const then = new Date(`${now.toISOString().slice(0, 10)}T${time}:00.000Z`);
  const ms = then.getTime() - now.getTime();
  await pass(ms > 0 ? ms : ms + minutes(24 * 60));
}
const settled = (id: InstanceId, state: string) =>
  until(`it is ${state}`, async () => (await cloud.instance(id)).state === state);
const count = async (id: InstanceId, type: string) => (await cloud.eventTypes(id)).filter((one) => one === type).length;
const told = (id: InstanceId, type: string) => until(`${type} is told`, async () => (await count(id, type)) > 0);
const nextRun = async (id: InstanceId) =>
  (await listSchedules(cloud.deps.db, cloud.operator, id, {})).items[0]?.nextRunAt;
const removed = async (id: InstanceId) => {
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  assert.deepEqual(await cloud.deps.db.selectFrom('instance_schedules').select('id').execute(), []);
};

async function member(name: string, role: ProjectRole) {
  const id: UserId = newId('user');
  const { projectId } = cloud.operator;
  await inTransaction(cloud.deps.db, async (tx) => {
    await tx.insertInto('users').values({ id, name, password_hash: null, cloud_role: 'none' }).execute();
    await insertMember(tx, systemAccess('test'), projectId, id, role);
  });
  const caller = {
    actor: { userId: id, name },
    cloudRole: 'none' as const,
    project: { id: projectId, role },
    requestId: 'test',
  };
  return { id, access: authorize(caller, { scope: 'project', role: 'operator' }) };
}

test('an instance is stopped in the evening and started in the morning, on working days', async () => {
  const { id } = await cloud.launch('office');
  const stop = await create(id, { action: 'stop', cron: '0 18 * * mon-fri', timeZone: 'Europe/Berlin' });
  const start = await create(id, { action: 'start', cron: '0 8 * * mon-fri', timeZone: 'Europe/Berlin' });
  assert.deepEqual([stop.nextRunAt, start.nextRunAt], ['2030-01-01T17:00:00.000Z', '2030-01-02T07:00:00.000Z']);
  await passUntil('17:00');
  await settled(id, 'stopped');
  assert.equal(await nextRun(id), '2030-01-02T17:00:00.000Z');
  await passUntil('07:00');
  await settled(id, 'running');
  const events = await cloud.deps.db
    .selectFrom('events')
    .select(['actor', 'category', 'request_id'])
    .where('resource_id', '=', id)
    .where('type', 'in', ['instance.stop-requested', 'instance.start-requested'])
    .orderBy('seq')
    .execute();
  assert.deepEqual(events, [
    { actor: 'admin', category: 'audit', request_id: stop.id },
    { actor: 'admin', category: 'audit', request_id: start.id },
  ]);
  await deleteSchedule(cloud.deps, cloud.operator, id, stop.id);
  await assert.rejects(deleteSchedule(cloud.deps, cloud.operator, id, stop.id), { name: 'NotFound' });
  await passUntil('17:00');
  await passUntil('07:00');
  await until('the morning was seen', async () => (await nextRun(id)) !== '2030-01-03T07:00:00.000Z');
  assert.equal(await count(id, 'instance.start-requested'), 1, 'it runs already, so nobody asks for it');
  assert.equal((await cloud.instance(id)).state, 'running');
  await removed(id);
});

test('whatever can be done to power can be done by the clock, and what makes no sense then is refused', async () => {
  await passUntil('09:00');
  const { id } = await cloud.launch('every-action');
  for (const [index, action] of (['suspend', 'resume', 'reboot', 'hibernate', 'suspend', 'start'] as const).entries()) {
    await create(id, { action, cron: `${index + 1} 9 * * *` });
  }
  const states = ['paused', 'running', 'running', 'hibernated', 'hibernated', 'running'];
  for (const [index, state] of states.entries()) {
    await passUntil(`09:0${index + 1}`);
    if (index === 2) await told(id, 'instance.rebooted');
    if (index === 4) await told(id, 'instance.schedule-refused');
    await settled(id, state);
  }
  assert.equal(await count(id, 'instance.schedule-refused'), 1);
  await removed(id);
});

test('a line that never fires is refused, and so is one schedule too many', async () => {
  const { id } = await cloud.launch('refused');
  await assert.rejects(create(id, { action: 'stop', cron: '0 0 31 2 *' }), { name: 'InvalidArgument', field: '/cron' });
  await assert.rejects(create(id, { action: 'stop', cron: '*/10 * * * * *' }), { field: '/cron' });
  for (let hour = 0; hour < 20; hour++) await create(id, { action: 'stop', cron: `0 ${hour} * * *` });
  await assert.rejects(create(id, { action: 'stop', cron: '0 22 * * *' }), { name: 'Conflict' });
  await removed(id);
});

test('of the runs that were missed the latest of the last hour is made up for, and older ones are told of', async () => {
  await passUntil('07:00');
  const { id } = await cloud.launch('missed');
  await create(id, { action: 'stop', cron: '*/20 * * * *' });
  await cloud.stop();
  clock.forward(minutes(55));
  await cloud.startAgain();
  await settled(id, 'stopped');
  assert.equal(await count(id, 'instance.stop-requested'), 1);
  assert.equal(await count(id, 'instance.schedule-skipped'), 1);
  await removed(id);
});

test('a run that was missed long ago is not made up for', async () => {
  await passUntil('07:00');
  const { id } = await cloud.launch('long-ago');
  await create(id, { action: 'stop', cron: '30 7 * * *' });
  await cloud.stop();
  clock.forward(minutes(120));
  await cloud.startAgain();
  await told(id, 'instance.schedule-skipped');
  assert.equal(await count(id, 'instance.stop-requested'), 0);
  assert.equal((await cloud.instance(id)).state, 'running');
  await removed(id);
});

test('what its maker may no longer do is refused when it is due, and done again when they may', async () => {
  await passUntil('07:00');
  const { id } = await cloud.launch('demoted');
  const ada = await member('ada', 'operator');
  await create(id, { action: 'stop', cron: '0 * * * *' }, ada.access);
  const { projectId } = cloud.operator;
  const setRole = (role: ProjectRole) =>
    inTransaction(cloud.deps.db, (tx) => insertMember(tx, systemAccess('test'), projectId, ada.id, role));
  await setRole('viewer');
  await passUntil('08:00');
  await told(id, 'instance.schedule-refused');
  assert.equal((await cloud.instance(id)).state, 'running');
  await setRole('operator');
  await passUntil('09:00');
  await settled(id, 'stopped');
  await cloud.succeeded((await startInstance(cloud.deps, cloud.operator, id)).operationId);
  await cloud.deps.db.deleteFrom('users').where('id', '=', ada.id).execute();
  await passUntil('10:00');
  await until('it is refused again', async () => (await count(id, 'instance.schedule-refused')) === 2);
  assert.equal((await cloud.instance(id)).state, 'running');
  assert.equal((await listSchedules(cloud.deps.db, cloud.operator, id, {})).items[0]?.createdBy, 'ada');
  await removed(id);
});

for (const point of ['shutdown', 'after applyInstance']) {
  test(`killed at ${point} of a scheduled stop, it stops all the same, once`, async () => {
    await passUntil('07:00');
    const { id } = await cloud.launch('killed');
    await create(id, { action: 'stop', cron: '0 8 * * *' });
    const reached = cloud.freezeAt(point);
    await passUntil('08:00');
    await reached;
    await cloud.kill();
    await cloud.startAgain();
    await settled(id, 'stopped');
    assert.equal(await count(id, 'instance.stop-requested'), 1);
    await removed(id);
  });
}

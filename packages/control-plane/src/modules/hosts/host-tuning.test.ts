import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HostId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { getHostTuning, planHostTuning, tuneHost, untuneHost } from './host-tuning-operations.ts';

let cloud: SimulatedCloud;
let id: HostId;
before(async () => {
  cloud = await SimulatedCloud.start({ settings: { tuningPeriodMs: 100 } });
  id = cloud.deps.agents.all()[0]!.id;
});
after(() => cloud.close());

const swappiness = '/proc/sys/vm/swappiness';
const scheduler = '/sys/block/sda/queue/scheduler';
const sysctls = '/etc/sysctl.d/90-virga.conf';
const seen = (path: string) => cloud.host().hostFile(path)?.trim();
const tuning = async () => (await getHostTuning(cloud.deps, cloud.administrator, id)).tuning;
const tune = (body: Parameters<typeof tuneHost>[3]) => tuneHost(cloud.deps, cloud.administrator, id, body);
const undo = () => untuneHost(cloud.deps, cloud.administrator, id);
const events = async () => (await cloud.eventTypes(id)).filter((type) => /tune|tuning|drift/.test(type));

async function asBefore(): Promise<void> {
  await cloud.succeeded((await undo()).operationId);
  assert.deepEqual([seen(swappiness), seen(scheduler), seen(sysctls)], ['60', 'none [mq-deadline] bfq', undefined]);
  assert.equal((await tuning()).state, 'none');
}

test('a host is tuned by an operation, keeps that in files, is shown, and is as before when it is taken back', async () => {
  assert.equal((await tuning()).state, 'none');
  const body = { profile: 'latency', overrides: { ioScheduler: { sda: 'bfq' } } } as const;
  const plan = await planHostTuning(cloud.deps, cloud.administrator, id, body);
  assert.ok(plan.changes.some(({ path, after }) => path === scheduler && after === 'bfq'));
  assert.equal(seen(swappiness), '60');
  const { message } = await cloud.succeeded((await tune(body)).operationId);
  assert.match(message, /^\d+ places were changed\./);
  assert.deepEqual([seen(swappiness), seen(scheduler)], ['1', 'none mq-deadline [bfq]']);
  assert.match(seen(sysctls)!, /^vm\.swappiness = 1$/m);
  const shown = await getHostTuning(cloud.deps, cloud.administrator, id);
  assert.deepEqual([shown.tuning.state, shown.tuning.inForce, shown.seen?.changes], ['applied', body, []]);
  await asBefore();
  assert.deepEqual(await events(), ['host.tune-requested', 'host.tuned', 'host.untune-requested', 'host.untuned']);
});

test('what a host refuses fails with its sentence and its field, and what was in force goes on', async () => {
  await cloud.succeeded((await tune({ profile: 'balanced' })).operationId);
  const problem = await cloud.failed(
    (await tune({ profile: 'density', overrides: { cpuGovernor: 'performance' } })).operationId,
  );
  assert.deepEqual([problem.code, problem.field], ['HostSettingRefused', '/overrides/cpuGovernor']);
  assert.equal(seen(swappiness), '10');
  const { state, stateReason, desired, inForce } = await tuning();
  assert.deepEqual([state, desired?.profile, inForce?.profile], ['failed', 'balanced', 'balanced']);
  assert.match(stateReason!, /The host has no cpuGovernor/);
  await asBefore();
});

test('what somebody else changes is told and set right', async () => {
  await cloud.succeeded((await tune({ profile: 'balanced' })).operationId);
  cloud.host().changeHostFile(swappiness, '99\n');
  cloud.host().changeHostFile(sysctls, null);
  await until('it is set right', () => seen(swappiness) === '10' && seen(sysctls) !== undefined);
  const event = await until('it is told', async () =>
    cloud.deps.db.selectFrom('events').selectAll().where('type', '=', 'host.drifted').executeTakeFirst(),
  );
  assert.match(event.message, /vm\/swappiness from 10 to 99/);
  await asBefore();
});

test('after a restart of the host its kernel is tuned anew, which is no drift', async () => {
  await cloud.succeeded((await tune({ profile: 'throughput', overrides: { swappiness: 7 } })).operationId);
  const drifts = (await events()).filter((type) => type === 'host.drifted').length;
  cloud.host().rebootHost();
  assert.equal(seen(swappiness), '60');
  await until('it is tuned anew', () => seen(swappiness) === '7');
  await until('it is told', async () => (await events()).at(-1) === 'host.tuned');
  assert.equal((await events()).filter((type) => type === 'host.drifted').length, drifts);
  await asBefore();
});

test('a host that is away is tuned when it is back', async () => {
  cloud.host().goUnreachable();
  const { operationId } = await tune({ profile: 'density' });
  assert.equal((await tuning()).state, 'pending');
  cloud.host().comeBack();
  await cloud.succeeded(operationId);
  await asBefore();
});

test('a later request takes over from one that has not ended', async () => {
  cloud.host().goUnreachable();
  const first = await tune({ profile: 'density' });
  const second = await tune({ profile: 'latency' });
  assert.equal((await cloud.failed(first.operationId)).code, 'Conflict');
  cloud.host().comeBack();
  await cloud.succeeded(second.operationId);
  assert.equal((await tuning()).inForce?.profile, 'latency');
  await asBefore();
});

test('killed at every kind of step, of tuning and of taking it back', async () => {
  for (const point of ['record', 'set', 'after applyTuning']) {
    await cloud.killedAt(point, () => tune({ profile: 'density', overrides: { hugePages2Mib: 8 } }));
    assert.equal((await tuning()).inForce?.profile, 'density', point);
    assert.deepEqual((await getHostTuning(cloud.deps, cloud.administrator, id)).seen?.changes, [], point);
    await cloud.killedAt(point, undo);
    await asBefore();
  }
});

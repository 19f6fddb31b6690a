// Overlays and changes from outside, through the database: what is asked for, what is kept, what is taken back, what is told.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Instance } from '@virga/contract/rest/instances';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { getDefinition, getDrift, setDriftPolicy, setOverlay } from './definition-operations.ts';
import { startInstance, stopInstance } from './instance-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ settings: { resyncPeriodMs: 200 } });
  await cloud.prepare();
});
after(() => cloud.close());

const preserved = (xml: string) => xml.replace(/<on_crash>\w+</, '<on_crash>preserve<');
const definitionOf = ({ id }: Pick<Instance, 'id'>) => getDefinition(cloud.deps, cloud.administrator, id);
const converged = ({ id }: Pick<Instance, 'id'>) =>
  until('it has converged', async () => {
    const row = await cloud.deps.db.selectFrom('instances').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    return row.generation === row.converged_generation && row;
  });
const told = ({ id }: Pick<Instance, 'id'>) =>
  until('it is told', async () => (await cloud.eventTypes(id)).includes('instance.changed-outside'));
const edit = async (instance: Pick<Instance, 'id'>, request: Parameters<typeof setOverlay>[3], ifMatch?: number) =>
  setOverlay(cloud.deps, cloud.administrator, instance.id, request, ifMatch);

test('an edit is planned without changing anything, then is in the definition, and can be taken away', async () => {
  const instance = await cloud.launch('edited');
  const xml = preserved((await definitionOf(instance)).effective);
  const plan = await edit(instance, { xml, dryRun: true });
  assert.deepEqual([plan.operationId, (await definitionOf(instance)).overlay], [null, []]);
  const { operationId, diff } = await edit(instance, { xml });
  assert.equal(diff, plan.diff);
  await cloud.succeeded(operationId!);
  assert.match((await definitionOf(instance)).effective, /<on_crash>preserve</);
  assert.equal(cloud.host().bootCount(instance.id), 1);
  await cloud.succeeded((await edit(instance, { changes: [] })).operationId!);
  assert.equal((await definitionOf(instance)).diff, '');
});

test('an edit with a restart is in the guest at once', async () => {
  const instance = await cloud.launch('restarted');
  const xml = preserved((await definitionOf(instance)).effective);
  await cloud.succeeded((await edit(instance, { xml, restart: true })).operationId!);
  await until('it has restarted', () => cloud.host().bootCount(instance.id) === 2);
});

test('an edit of what has changed meanwhile, and one that says nothing, are refused', async () => {
  const instance = await cloud.launch('contested');
  await assert.rejects(edit(instance, { changes: [] }, 99), { code: 'PreconditionFailed' });
  await assert.rejects(edit(instance, {}), { code: 'InvalidArgument' });
  await assert.rejects(edit(instance, { xml: '<domain/>', changes: [] }), { code: 'InvalidArgument' });
  await assert.rejects(edit(instance, { xml: '<broken' }), { code: 'InvalidArgument', field: '/xml' });
  await assert.rejects(edit({ id: 'i-00000000000000000' }, { changes: [] }), { code: 'NotFound' });
});

test('a change from outside is kept, told with its difference, and outlives starts and other changes', async () => {
  const instance = await cloud.launch('kept');
  cloud.host().editOutside(instance.id, preserved);
  await told(instance);
  await converged(instance);
  const { policy, last } = await getDrift(cloud.deps, cloud.operator, instance.id);
  assert.deepEqual([policy, last?.action], ['keep', 'kept']);
  assert.match(last!.diff, /^\+ +<on_crash>preserve<\/on_crash>$/m);
  const { overlay } = await definitionOf(instance);
  assert.deepEqual(overlay, [{ op: 'set', path: '/domain/on_crash', xml: '<on_crash>preserve</on_crash>' }]);
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, instance.id)).operationId);
  await cloud.succeeded((await startInstance(cloud.deps, cloud.operator, instance.id)).operationId);
  assert.match((await definitionOf(instance)).effective, /<on_crash>preserve</);
  assert.equal((await cloud.eventTypes(instance.id)).filter((type) => type === 'instance.changed-outside').length, 1);
});

test('where the policy says so, a change from outside is taken back', async () => {
  const instance = await cloud.launch('reverted');
  await cloud.succeeded((await setDriftPolicy(cloud.deps, cloud.operator, instance.id, 'revert')).operationId);
  const before = await definitionOf(instance);
  cloud.host().editOutside(instance.id, preserved);
  await told(instance);
  await until('it is as before', async () => {
    const { effective } = await definitionOf(instance);
    return !/<on_crash>preserve</.test(effective);
  });
  await converged(instance);
  assert.deepEqual((await definitionOf(instance)).overlay, before.overlay);
  const { policy, last } = await getDrift(cloud.deps, cloud.operator, instance.id);
  assert.deepEqual([policy, last?.action], ['revert', 'reverted']);
});

test('what was changed while nobody looked is found before the next change writes over it', async () => {
  const instance = await cloud.launch('found');
  await cloud.stop();
  cloud.host().editOutside(instance.id, preserved);
  await cloud.startAgain();
  await cloud.hostsAreReady();
  await cloud.succeeded((await setDriftPolicy(cloud.deps, cloud.operator, instance.id, 'keep')).operationId);
  await told(instance);
  assert.match((await definitionOf(instance)).effective, /<on_crash>preserve</);
});

test('a change that nothing tells of is found when hosts are asked what they have', async () => {
  const instance = await cloud.launch('quiet');
  cloud.host().editOutside(instance.id, preserved, 'quietly');
  await told(instance);
  await converged(instance);
  assert.match((await definitionOf(instance)).effective, /<on_crash>preserve</);
});

test('what was changed while the host was out of sight is told as soon as it is seen again', async () => {
  const seldom = await SimulatedCloud.start({ settings: { resyncPeriodMs: 3_600_000 } });
  try {
    await seldom.prepare();
    const { id } = await seldom.launch('unseen');
    await seldom.stop();
    seldom.host().editOutside(id, preserved);
    await seldom.startAgain();
    await until('it is told', async () => (await seldom.eventTypes(id)).includes('instance.changed-outside'));
  } finally {
    await seldom.close();
  }
});

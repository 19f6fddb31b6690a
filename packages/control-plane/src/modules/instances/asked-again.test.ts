// What is asked for again just while the host does it: both requests have an end.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { systemAccess } from '../../access/system-access.ts';
import { recordApplied, recordFailed } from './instance-outcome.ts';
import { findInstanceOrder, type InstanceOrder } from './instance-store.ts';
import { resizeInstance } from './resize-instance.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start();
  await cloud.prepare();
});
after(() => cloud.close());

const context = () => ({ deps: cloud.deps, access: systemAccess('reconciler') });
const grow = (id: InstanceId) => resizeInstance(cloud.deps, cloud.operator, id, { diskGib: 20 });
const stateOf = async (id: OperationId) =>
  (await cloud.deps.db.selectFrom('operations').select('state').where('id', '=', id).executeTakeFirstOrThrow()).state;

/** One that failed, as the reconciler reads it when it tries again, and was asked for again after that. */
async function askedAgain(name: string): Promise<{ row: InstanceOrder; operationId: OperationId }> {
  const { id } = await cloud.launch(name);
  cloud.host().failNext('applyInstance', 'HypervisorRefused');
  const first = await grow(id);
  await until('it has failed', async () => (await stateOf(first.operationId)) === 'failed');
  const inAnHour = new Date(Date.now() + 3_600_000);
  await cloud.deps.db.updateTable('instances').set({ retry_at: inAnHour }).where('id', '=', id).execute();
  const row = await findInstanceOrder(cloud.deps.db, id);
  const { operationId } = await grow(id);
  assert.notEqual(operationId, first.operationId);
  return { row: row!, operationId };
}

test('the host has done it', async () => {
  const { row, operationId } = await askedAgain('done');
  const seen = (await cloud.host().listInstances(cloud.deps.cloudId)).find(({ id }) => id === row.id);
  assert.equal(await recordApplied(context(), row, seen!), true);
  assert.equal(await stateOf(operationId), 'succeeded');
});

test('the host cannot do it', async () => {
  const { row, operationId } = await askedAgain('not-done');
  await recordFailed(context(), row, new VirgaError('HypervisorRefused', { detail: 'It cannot.', action: 'Nothing.' }));
  assert.equal(await stateOf(operationId), 'failed');
});

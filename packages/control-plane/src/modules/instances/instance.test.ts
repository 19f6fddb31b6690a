import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ObservedInstance } from '@virga/contract/agent/observed';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { deviation, type InstanceCondition, instanceState, isReached } from './instance.ts';

const desires = ['running', 'paused', 'stopped', 'hibernated', 'deleted'] as const;
const states = ['running', 'paused', 'stopping', 'stopped', 'hibernated', 'absent'] as const;
const booleans = [true, false];

/** Every condition there is. */
const conditions: InstanceCondition[] = desires.flatMap((desired) =>
  states.flatMap((observed) =>
    booleans.flatMap((hasConverged) =>
      booleans.flatMap((hasFailed) =>
        booleans.map((isRebooting) => ({ desired, observed, hasConverged, hasFailed, isRebooting })),
      ),
    ),
  ),
);

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start();
  await cloud.prepare();
});
after(() => cloud.close());

test('the state that the database filters by is the one that people see, in every condition', async () => {
  const { id } = await cloud.launch('any');
  for (const condition of conditions) {
    const { desired, observed, hasConverged, hasFailed, isRebooting } = condition;
    // Rolled back, so that nobody acts on it.
    const rollback = new Error('rollback');
    await assert.rejects(
      cloud.deps.db.transaction().execute(async (tx) => {
        const { state } = await tx
          .updateTable('instances')
          .set({
            desired,
            observed_state: observed,
            generation: 7,
            converged_generation: hasConverged ? 7 : 6,
            failure: hasFailed ? JSON.stringify({ code: 'Internal', detail: '', action: '' }) : null,
            reboot: isRebooting ? JSON.stringify({ token: 'again', how: 'acpi' }) : null,
          })
          .where('id', '=', id)
          .returning('state')
          .executeTakeFirstOrThrow();
        assert.equal(state, instanceState(condition), JSON.stringify(condition));
        throw rollback;
      }),
      rollback,
    );
  }
});

test('what is asked for shows until it is reached, and then what is', () => {
  const state = (condition: Partial<InstanceCondition>) =>
    instanceState({
      desired: 'running',
      observed: 'running',
      hasConverged: true,
      hasFailed: false,
      isRebooting: false,
      ...condition,
    });
  assert.equal(state({}), 'running');
  assert.equal(state({ observed: 'absent', hasConverged: false }), 'pending');
  assert.equal(state({ observed: 'stopped' }), 'pending');
  assert.equal(state({ observed: 'paused' }), 'paused');
  assert.equal(state({ isRebooting: true, hasConverged: false }), 'rebooting');
  assert.equal(state({ isRebooting: true }), 'running', 'a reboot that is done');
  assert.equal(state({ desired: 'stopped', hasConverged: false }), 'stopping');
  assert.equal(state({ desired: 'stopped', observed: 'stopped', hasConverged: false }), 'stopped');
  assert.equal(state({ desired: 'stopped' }), 'running', 'started beside Virga, not yet adopted');
  assert.equal(state({ desired: 'deleted' }), 'deleting');
  assert.equal(state({ desired: 'deleted', hasFailed: true }), 'deleting');
  assert.equal(state({ hasFailed: true }), 'error');
});

test('deliberate changes are adopted, loss is repaired, and what shows is what is desired otherwise', () => {
  const seen = (state: ObservedInstance['state'], reason: ObservedInstance['reason'], intact = true) => ({
    state,
    reason,
    intact,
  });
  for (const desired of ['running', 'paused'] as const) {
    assert.equal(deviation(desired, seen('stopped', 'guest-shutdown')), 'adopt-stop');
    for (const reason of ['destroyed', 'crashed', 'failed', 'unknown'] as const)
      assert.equal(deviation(desired, seen('stopped', reason)), 'repair', reason);
    assert.equal(deviation(desired, seen('hibernated', 'suspended')), 'adopt-hibernate');
    assert.equal(deviation(desired, seen('hibernated', 'unknown')), 'repair', 'as after a restart of the host');
  }
  assert.equal(deviation('running', seen('running', 'booted')), 'none');
  assert.equal(deviation('running', seen('running', 'booted', false)), 'repair');
  assert.equal(deviation('running', seen('paused', 'suspended')), 'adopt-pause');
  assert.equal(deviation('running', seen('paused', 'storage-full')), 'repair');
  assert.equal(deviation('paused', seen('paused', 'suspended')), 'none');
  assert.equal(deviation('paused', seen('paused', 'storage-full')), 'none');
  assert.equal(deviation('paused', seen('paused', 'suspended', false)), 'repair');
  assert.equal(deviation('paused', seen('running', 'booted')), 'adopt-resume');
  assert.equal(deviation('stopped', seen('stopped', 'destroyed')), 'none');
  assert.equal(deviation('stopped', seen('hibernated', 'suspended')), 'adopt-hibernate');
  for (const reason of ['suspended', 'unknown'] as const)
    assert.equal(deviation('hibernated', seen('hibernated', reason)), 'none');
  assert.equal(deviation('hibernated', seen('stopped', 'unknown')), 'adopt-loss');
  for (const desired of ['stopped', 'hibernated'] as const) {
    assert.equal(deviation(desired, seen('running', 'booted')), 'adopt-start');
    assert.equal(deviation(desired, seen('paused', 'suspended')), 'adopt-start');
    assert.equal(deviation(desired, seen('stopping', 'booted')), 'none');
  }
  for (const desired of ['running', 'paused', 'stopped', 'hibernated'] as const)
    assert.equal(deviation(desired, seen('absent', 'undefined')), 'repair');
});

test('another name of a domain is repaired when it is off, and waited for while it is on or has its memory saved', () => {
  const seen = (state: ObservedInstance['state']) =>
    ({ state, reason: 'unknown', intact: true, domainName: 'b' }) as const;
  assert.equal(deviation('stopped', seen('stopped'), 'restart', 'a'), 'repair');
  assert.equal(deviation('stopped', seen('stopped'), 'restart', 'b'), 'none');
  for (const state of ['running', 'hibernated'] as const)
    assert.equal(deviation(state, seen(state), 'restart', 'a'), 'none', state);
});

test('each desired state is reached by what is it, and by what is as near to it as can be', () => {
  const reached = (desired: Parameters<typeof isReached>[0], reason?: ObservedInstance['reason']) =>
    states.filter((state) => isReached(desired, { state, ...(reason && { reason }) }));
  assert.deepEqual(reached('running'), ['running']);
  assert.deepEqual(reached('running', 'storage-full'), ['running', 'paused']);
  assert.deepEqual(reached('paused'), ['paused']);
  assert.deepEqual(reached('stopped'), ['stopped']);
  assert.deepEqual(reached('hibernated'), ['stopped', 'hibernated']);
  assert.deepEqual(reached('deleted'), ['absent']);
});

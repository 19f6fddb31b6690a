import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ObservedInstance } from '@virga/contract/agent/observed';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { deviation, type InstanceCondition, instanceState, isReached, transition, type Verb } from './instance.ts';

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

test('every verb in every condition changes, joins, does nothing or is refused', () => {
  const verdicts = (verb: Verb, filter: Partial<InstanceCondition>) => {
    const matching = conditions.filter((condition) =>
      Object.entries(filter).every(([key, value]) => condition[key as keyof InstanceCondition] === value),
    );
    return [...new Set(matching.map((condition) => transition(verb, condition)))].sort();
  };
  // Being deleted: only a delete, and that only follows the one under way, or tries again what failed.
  for (const verb of ['start', 'stop', 'reboot'] as const)
    assert.deepEqual(verdicts(verb, { desired: 'deleted' }), ['refuse']);
  assert.deepEqual(verdicts('delete', { desired: 'deleted', hasFailed: false }), ['join']);
  assert.deepEqual(verdicts('delete', { desired: 'deleted', hasFailed: true }), ['change']);
  for (const desired of ['running', 'stopped'] as const) assert.deepEqual(verdicts('delete', { desired }), ['change']);
  // Paused from outside: only whoever paused it can let it go on.
  for (const desired of ['running', 'stopped'] as const)
    assert.deepEqual(verdicts('start', { desired, observed: 'paused' }), ['refuse']);
  for (const observed of ['running', 'stopping', 'stopped', 'absent'] as const) {
    const seen = { observed, hasFailed: false };
    assert.deepEqual(verdicts('start', { ...seen, desired: 'stopped' }), ['change']);
    assert.deepEqual(verdicts('start', { ...seen, desired: 'running', hasConverged: true }), ['nothing']);
    assert.deepEqual(verdicts('start', { ...seen, desired: 'running', hasConverged: false }), ['join']);
    assert.deepEqual(verdicts('start', { observed, desired: 'running', hasFailed: true }), ['change']);
  }
  assert.deepEqual(verdicts('stop', { desired: 'running' }), ['change']);
  assert.deepEqual(verdicts('stop', { desired: 'stopped', hasFailed: true }), ['change']);
  assert.deepEqual(verdicts('stop', { desired: 'stopped', hasFailed: false, hasConverged: true }), ['nothing']);
  assert.deepEqual(verdicts('stop', { desired: 'stopped', hasFailed: false, hasConverged: false }), ['join']);
  assert.deepEqual(verdicts('reboot', { desired: 'running', observed: 'running' }), ['change']);
  assert.deepEqual(verdicts('reboot', { desired: 'stopped' }), ['refuse']);
  for (const observed of ['paused', 'stopping', 'stopped', 'absent'] as const)
    assert.deepEqual(verdicts('reboot', { desired: 'running', observed }), ['refuse']);
});

test('only an orderly shutdown and a start are taken for what somebody wants', () => {
  const seen = (state: ObservedInstance['state'], reason: ObservedInstance['reason'], intact = true) => ({
    state,
    reason,
    intact,
  });
  assert.equal(deviation('running', seen('running', 'booted')), 'none');
  assert.equal(deviation('running', seen('paused', 'suspended')), 'none');
  assert.equal(deviation('running', seen('stopped', 'guest-shutdown')), 'adopt-stop');
  for (const reason of ['destroyed', 'crashed', 'failed', 'unknown'] as const)
    assert.equal(deviation('running', seen('stopped', reason)), 'repair', reason);
  assert.equal(deviation('running', seen('running', 'booted', false)), 'repair');
  assert.equal(deviation('stopped', seen('stopped', 'destroyed')), 'none');
  assert.equal(deviation('stopped', seen('running', 'booted')), 'adopt-start');
  assert.equal(deviation('stopped', seen('paused', 'suspended')), 'adopt-start');
  for (const desired of ['running', 'stopped'] as const)
    assert.equal(deviation(desired, seen('absent', 'undefined')), 'repair');
});

test('a paused guest counts as running, and nothing but off counts as stopped', () => {
  assert.deepEqual(
    states.filter((state) => isReached('running', { state })),
    ['running', 'paused'],
  );
  assert.deepEqual(
    states.filter((state) => isReached('stopped', { state })),
    ['stopped'],
  );
});

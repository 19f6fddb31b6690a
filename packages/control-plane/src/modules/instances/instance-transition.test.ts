import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type InstanceCondition, instanceState } from './instance.ts';
import { exampleConditions, refusal, type Transition, transition, type Verb, verbs } from './instance-transition.ts';

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

function verdicts(verb: Verb, filter: Partial<InstanceCondition>): Transition[] {
  const matching = conditions.filter((condition) =>
    Object.entries(filter).every(([key, value]) => condition[key as keyof InstanceCondition] === value),
  );
  return [...new Set(matching.map((condition) => transition(verb, condition)))].sort();
}

test('every verb in every state that people see', () => {
  const letters = { '+': 'change', '>': 'join', '=': 'nothing', '-': 'refuse' } as const;
  // start, stop, destroy, suspend, resume, hibernate, reboot, reset, delete
  const table: Record<string, string> = {
    pending: '>++->---+',
    running: '=+++=++++',
    paused: '-++=++--+',
    'paused, storage full': '+++++' + '+--+',
    rebooting: '>+++>++++',
    stopping: '+>>-----+',
    stopped: '+==-----+',
    hibernating: '+-+--' + '>--+',
    hibernated: '+-+--' + '=--+',
    waking: '>-+->---+',
    deleting: '-------->'.replace(/^-{8}/, '--------'),
    'error, guest on': '++++' + '+++++',
    'error, guest off': '+++-+---+',
  };
  assert.deepEqual(Object.keys(table), Object.keys(exampleConditions));
  for (const [state, row] of Object.entries(table)) {
    const expected = [...row].map((letter) => letters[letter as keyof typeof letters]);
    const actual = verbs.map((verb) => transition(verb, exampleConditions[state]!));
    assert.deepEqual(actual, expected, state);
  }
});

test('each example is in the state that it is called by', () => {
  for (const [name, condition] of Object.entries(exampleConditions)) {
    const state = name === 'waking' ? 'pending' : name.split(',')[0];
    assert.equal(instanceState(condition), state, name);
  }
});

test('what is being deleted can only be deleted, and again only when that failed', () => {
  for (const verb of verbs.filter((it) => it !== 'delete'))
    assert.deepEqual(verdicts(verb, { desired: 'deleted' }), ['refuse'], verb);
  assert.deepEqual(verdicts('delete', { desired: 'deleted', hasFailed: false }), ['join']);
  assert.deepEqual(verdicts('delete', { desired: 'deleted', hasFailed: true }), ['change']);
  for (const desired of ['running', 'paused', 'stopped', 'hibernated'] as const)
    assert.deepEqual(verdicts('delete', { desired }), ['change']);
});

test('whatever has failed can be started, cut off and deleted', () => {
  for (const desired of ['running', 'paused', 'stopped', 'hibernated'] as const)
    for (const verb of ['start', 'destroy', 'delete'] as const)
      assert.deepEqual(verdicts(verb, { desired, hasFailed: true }), ['change'], `${verb} of ${desired}`);
});

test('memory that is saved, or is being saved, is never stopped, only woken or given up', () => {
  for (const desired of ['running', 'paused', 'hibernated'] as const) {
    assert.deepEqual(verdicts('stop', { desired, observed: 'hibernated', hasFailed: false }), ['refuse']);
    assert.deepEqual(verdicts('destroy', { desired, observed: 'hibernated' }), ['change']);
  }
  for (const observed of ['running', 'paused', 'stopping', 'absent'] as const)
    assert.deepEqual(verdicts('stop', { desired: 'hibernated', observed, hasFailed: false }), ['refuse']);
  assert.deepEqual(verdicts('stop', { desired: 'hibernated', observed: 'stopped' }), ['change']);
});

test('only a guest that is on can be paused, hibernated, rebooted and reset', () => {
  for (const observed of ['stopped', 'hibernated', 'absent', 'stopping'] as const) {
    for (const verb of ['suspend', 'hibernate', 'reboot', 'reset'] as const)
      assert.deepEqual(verdicts(verb, { desired: 'running', observed }), ['refuse'], `${verb} when ${observed}`);
  }
  for (const verb of ['suspend', 'resume', 'hibernate', 'reboot', 'reset'] as const)
    assert.deepEqual(verdicts(verb, { desired: 'stopped' }), ['refuse'], verb);
  for (const verb of ['reboot', 'reset'] as const) {
    assert.deepEqual(verdicts(verb, { observed: 'paused' }), ['refuse']);
    assert.deepEqual(verdicts(verb, { desired: 'paused' }), ['refuse']);
  }
});

test('what was asked for and shows nothing of it any more is asked for anew', () => {
  const over = { hasConverged: true, hasFailed: false };
  assert.deepEqual(verdicts('suspend', { ...over, desired: 'paused', observed: 'running' }), ['change']);
  assert.deepEqual(verdicts('stop', { ...over, desired: 'stopped', observed: 'running' }), ['change']);
  assert.deepEqual(verdicts('destroy', { ...over, desired: 'stopped', observed: 'hibernated' }), ['change']);
  assert.deepEqual(verdicts('start', { ...over, desired: 'running', observed: 'paused' }), ['change']);
});

test('every refusal is a sentence that names the instance, and says what to do', () => {
  for (const verb of verbs) {
    for (const condition of conditions.filter((it) => transition(verb, it) === 'refuse')) {
      const { code, detail, action } = refusal(verb, 'web', condition, instanceState(condition));
      assert.equal(code, 'Conflict');
      assert.match(detail, /^Instance web is .+\.$/, `${verb} ${JSON.stringify(condition)}`);
      assert.match(action, /^\S.+\.$/);
    }
  }
});

test('a refusal names the verb that helps', () => {
  const action = (verb: Verb, state: string) =>
    refusal(verb, 'web', exampleConditions[state]!, instanceState(exampleConditions[state]!)).action;
  assert.match(action('start', 'paused'), /virga resume web/);
  assert.match(action('stop', 'hibernated'), /virga start and stop it then; or cut it off with virga destroy/);
  assert.match(action('reboot', 'paused'), /virga resume web/);
  assert.match(action('suspend', 'stopped'), /virga start web/);
  assert.match(action('reset', 'hibernated'), /virga start web/);
  assert.match(action('hibernate', 'pending'), /virga show web/);
  assert.match(action('stop', 'deleting'), /Launch another one/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Progress } from '@virga/cli/output/progress';
import { VirgaError } from '@virga/contract/errors';
import { hasChanges, type Phase, planPhases, planText } from './phase.ts';
import { runPhases } from './run-phases.ts';

/** Writes down what is shown. */
function recorded(shown: string[] = []): Progress {
  return {
    task: (label) => ({
      update: (message, percent) => shown.push(`${label}: ${message} ${percent}`),
      succeed: () => shown.push(`${label}: done`),
      fail: (message) => shown.push(`${label}: ${message}`),
    }),
    close: () => shown.push('closed'),
  };
}

/** A phase that has this to do, until it has done it. */
function phase(title: string, todo: string[], log: string[] = [], fail?: Error): Phase {
  return {
    title,
    check: async () => [...todo],
    change: async () => {
      log.push(title);
      if (fail) throw fail;
      todo.length = 0;
    },
  };
}

test('a plan shows what would be done, and what is as it should be', async () => {
  const plan = await planPhases([phase('one', []), phase('three', ['this', 'that'])]);
  assert.equal(planText(plan), '  ✔ one    is as it should be\n  • three  this\n           that');
  assert.equal(hasChanges(plan), true);
});

test('what needs no change is not changed', async () => {
  const log: string[] = [];
  await runPhases(await planPhases([phase('a', [], log), phase('b', ['x'], log)]), recorded());
  assert.deepEqual(log, ['b']);
});

test('a phase whose work an earlier one did is left out', async () => {
  const log: string[] = [];
  const shared = ['x'];
  await runPhases(await planPhases([phase('a', shared, log), phase('b', shared, log)]), recorded());
  assert.deepEqual(log, ['a']);
});

test('a phase that fails stops the run, and the next run goes on from there', async () => {
  const log: string[] = [];
  const first = phase('a', ['x'], log);
  const broken = phase('b', ['x'], log, new VirgaError('PortInUse', { detail: 'No.', action: 'Do.' }));
  const phases = [first, broken, phase('c', ['x'], log)];
  await assert.rejects(async () => runPhases(await planPhases(phases), recorded()), { name: 'PortInUse' });
  assert.deepEqual(log, ['a', 'b']);
  await assert.rejects(async () => runPhases(await planPhases(phases), recorded()));
  assert.deepEqual(log, ['a', 'b', 'b']);
});

test('what a phase says is shown, and the terminal is given back also when it fails', async () => {
  const shown: string[] = [];
  const good: Phase = { ...phase('good', ['x']), change: async (report) => report('half', 50) };
  const bad = phase('bad', ['x'], [], new VirgaError('PortInUse', { detail: 'It is taken.', action: 'Do.' }));
  await assert.rejects(async () => runPhases(await planPhases([good, bad]), recorded(shown)));
  assert.deepEqual(shown, ['good: half 50', 'good: done', 'bad: It is taken.', 'closed']);
});

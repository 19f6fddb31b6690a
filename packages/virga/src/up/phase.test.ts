import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { hasChanges, type Phase, planPhases, planText } from './phase.ts';
import { failureOf, runPhases } from './run-phases.ts';

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
  await runPhases(await planPhases([phase('a', [], log), phase('b', ['x'], log)]), { interactive: false });
  assert.deepEqual(log, ['b']);
});

test('a phase whose work an earlier one did is left out', async () => {
  const log: string[] = [];
  const shared = ['x'];
  await runPhases(await planPhases([phase('a', shared, log), phase('b', shared, log)]), { interactive: false });
  assert.deepEqual(log, ['a']);
});

test('a phase that fails stops the run, and the next run goes on from there', async () => {
  const log: string[] = [];
  const first = phase('a', ['x'], log);
  const broken = phase('b', ['x'], log, new VirgaError('PortInUse', { detail: 'No.', action: 'Do.' }));
  const phases = [first, broken, phase('c', ['x'], log)];
  await assert.rejects(async () => runPhases(await planPhases(phases), { interactive: false }), { name: 'PortInUse' });
  assert.deepEqual(log, ['a', 'b']);
  await assert.rejects(async () => runPhases(await planPhases(phases), { interactive: false }));
  assert.deepEqual(log, ['a', 'b', 'b']);
});

test('a failure of the registry reads as what happened and what to do, with its exit code', () => {
  const error = new VirgaError('PortInUse', { detail: 'Port 1 is taken.', action: 'Choose another.' });
  assert.deepEqual(failureOf(error), { text: 'Port 1 is taken. Choose another.', exitCode: 6 });
});

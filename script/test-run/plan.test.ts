import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planTests } from './plan.ts';

const paths = [
  'packages/a/src/quick.test.ts',
  'packages/a/src/slow.test.ts',
  'packages/ab/src/x.test.ts',
  'tests/f/g.test.ts',
];
const order = (filters: string[], durationsMs: Record<string, number> = {}) =>
  planTests(paths, filters, durationsMs).map((file) => file.path);

test('what shares its namespaces comes before what runs alone, whatever its length', () => {
  const last = planTests(paths, [], { 'tests/f/g.test.ts': 1e9 }).at(-1);
  assert.deepEqual(last, { path: 'tests/f/g.test.ts', kind: 'alone' });
});

test('the longest comes first, and one that never ran counts as long', () => {
  const durations = { 'packages/a/src/quick.test.ts': 1, 'packages/a/src/slow.test.ts': 9 };
  assert.deepEqual(order(['packages'], durations), [paths[2], paths[1], paths[0]]);
});

test('a filter chooses a file, or a folder and not another with a longer name', () => {
  assert.deepEqual(order(['packages/a']), [paths[0], paths[1]]);
  assert.deepEqual(order(['./packages/a/src/slow.test.ts', 'tests/']), [paths[1], paths[3]]);
});

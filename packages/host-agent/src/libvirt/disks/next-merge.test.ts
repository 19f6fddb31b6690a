import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterMerge, nextMerge, restingOn } from './next-merge.ts';

const nobody = new Set<string>();

test('what a snapshot kept is merged once it is gone, and what another one ends with stays', () => {
  const one = { current: ['a', 'b', 'c'], snapshots: { 'snap-2': ['a', 'b'] } } as const;
  assert.deepEqual(nextMerge(one, nobody), { into: 'a', from: 'b' });
  const merged = afterMerge(one, { into: 'a', from: 'b' });
  assert.deepEqual(merged, { current: ['a', 'c'], snapshots: { 'snap-2': ['a'] } });
  assert.equal(nextMerge(merged, nobody), undefined);
  assert.deepEqual(nextMerge({ current: ['a', 'c'], snapshots: {} }, nobody), { into: 'a', from: 'c' });
  assert.equal(nextMerge({ current: ['a'], snapshots: {} }, nobody), undefined);
});

test('what several rest on stays, until only one does', () => {
  const forked = { current: ['a', 'c'], snapshots: { 'snap-2': ['a', 'b'] } } as const;
  assert.equal(nextMerge(forked, nobody), undefined);
  assert.deepEqual(nextMerge({ ...forked, snapshots: {} }, nobody), { into: 'a', from: 'c' });
});

test('nothing is written to what clones rest on', () => {
  const tree = { current: ['a', 'b', 'c'], snapshots: { 'snap-2': ['a', 'b'] } } as const;
  assert.equal(nextMerge(tree, new Set(['a', 'b'])), undefined);
});

test('all that rested on what was merged rests on the other', () => {
  const tree = { current: ['a', 'b', 'c'], snapshots: { 'snap-1': ['a', 'b', 'd'] } } as const;
  assert.deepEqual(restingOn(tree, 'b'), ['c', 'd']);
  assert.deepEqual(afterMerge(tree, { into: 'a', from: 'b' }), {
    current: ['a', 'c'],
    snapshots: { 'snap-1': ['a', 'd'] },
  });
});

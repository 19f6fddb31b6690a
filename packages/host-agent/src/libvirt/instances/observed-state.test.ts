import assert from 'node:assert/strict';
import { test } from 'node:test';
import { observedState } from './observed-state.ts';

test('a guest that is going to another host, or coming from one, is on its way, and told from one that somebody paused', () => {
  for (const reason of ['migration', 'postcopy', 'starting-up'] as const) {
    assert.deepEqual(observedState({ state: 'paused', reason }), { state: 'running', reason: 'booted', moving: true });
  }
  const arriving = { state: 'running', reason: 'migrated', moving: true };
  assert.deepEqual(observedState({ state: 'running', reason: 'postcopy' }), arriving);
  assert.deepEqual(observedState({ state: 'paused', reason: 'user' }), { state: 'paused', reason: 'suspended' });
});

test('where a guest came from, and that it has gone, stays known', () => {
  assert.deepEqual(observedState({ state: 'running', reason: 'migrated' }), { state: 'running', reason: 'migrated' });
  assert.deepEqual(observedState({ state: 'off', reason: 'migrated' }), { state: 'stopped', reason: 'migrated' });
});

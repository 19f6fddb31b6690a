import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newText } from './console-log-delta.ts';

test('what was appended is new', () => {
  assert.equal(newText('ab', 'abcd'), 'cd');
  assert.equal(newText('', 'ab'), 'ab');
  assert.equal(newText('ab', 'ab'), '');
});

test('the end of a longer log is joined where it overlaps', () => {
  assert.equal(newText('abcdef', 'defgh'), 'gh');
});

test('everything is new when more was printed than the server sends at once', () => {
  assert.equal(newText('abc', 'xyz'), 'xyz');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idPrefix, isId, newId } from './ids.ts';

test('an id is its prefix and 17 hexadecimal digits', () => {
  assert.equal(
    newId('instance', (bytes) => bytes.fill(0xab)),
    'i-ababababababababa',
  );
  assert.match(newId('image'), /^ami-[0-9a-f]{17}$/);
});

test('ids of one kind do not pass for another kind', () => {
  assert.ok(isId('instance', newId('instance')));
  assert.ok(!isId('instance', newId('image')));
  assert.ok(!isId('instance', 'i-0123'));
  assert.ok(!isId('instance', `${newId('instance')}\n`));
});

test('no prefix stands for two kinds', () => {
  const prefixes = Object.values(idPrefix);
  assert.equal(new Set(prefixes).size, prefixes.length);
});

test('ten thousand ids are all different', () => {
  assert.equal(new Set(Array.from({ length: 10_000 }, () => newId('operation'))).size, 10_000);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chordOf, codesOf, keyCodes } from './key-codes.ts';

test('keys have the codes of linux/input-event-codes.h', () => {
  const known = { esc: 1, q: 16, enter: 28, ctrl: 29, a: 30, z: 44, alt: 56, space: 57, f1: 59, f10: 68, f12: 88 };
  for (const [name, code] of Object.entries(known)) assert.equal(keyCodes.get(name), code, name);
  assert.deepEqual(codesOf('ctrl+alt+delete'), [29, 56, 111]);
  assert.deepEqual([keyCodes.get('sysrq'), keyCodes.get('up'), keyCodes.get('meta')], [99, 103, 125]);
});

test('a chord with a key that there is not has no codes', () => {
  assert.equal(codesOf('ctrl+any'), undefined);
  assert.equal(codesOf(''), undefined);
});

test('text is typed as on a keyboard of the United States', () => {
  assert.deepEqual([...'aZ1 |\n'].map(chordOf), ['a', 'shift+z', '1', 'space', 'shift+backslash', 'enter']);
  assert.equal(chordOf('é'), undefined);
  for (let code = 32; code < 127; code++) {
    const chord = chordOf(String.fromCharCode(code));
    assert.ok(chord !== undefined && codesOf(chord) !== undefined, String.fromCharCode(code));
  }
});

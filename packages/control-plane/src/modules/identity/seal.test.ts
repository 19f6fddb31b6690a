import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hashPassword, passwordMatches } from './password.ts';
import { createSeal } from './seal.ts';

test('a sealed text opens under its key and context only, and never twice looks the same', () => {
  const seal = createSeal(randomBytes(32));
  const sealed = seal.seal('secret', 'row-1');
  assert.equal(seal.open(sealed, 'row-1'), 'secret');
  assert.throws(() => seal.open(sealed, 'row-2'));
  assert.throws(() => createSeal(randomBytes(32)).open(sealed, 'row-1'));
  assert.notDeepEqual(seal.seal('secret', 'row-1'), sealed);
  sealed[sealed.length - 1]! ^= 1;
  assert.throws(() => seal.open(sealed, 'row-1'));
});

test('a password matches its own hash only, and nothing matches a user without one', async () => {
  const stored = await hashPassword('päss wörd');
  assert.equal(await passwordMatches('päss wörd', stored), true);
  assert.equal(await passwordMatches('päss word', stored), false);
  assert.equal(await passwordMatches('päss wörd', null), false);
  assert.notEqual(await hashPassword('päss wörd'), stored);
});

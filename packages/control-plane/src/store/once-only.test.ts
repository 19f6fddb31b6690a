import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { UserId } from '@virga/contract/ids';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { insertUser } from '../modules/identity/identity-operations.ts';
import { inTransaction } from './database.ts';
import { expireIdempotencyKeys, type Idempotency, onceOnly } from './once-only.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
after(() => store.close());

const idempotency = (key: string, request = 'r', userId = store.user.actor.userId as UserId): Idempotency => ({
  userId,
  key,
  requestSha256: Buffer.from(request.padEnd(32)),
});

test('twenty requests at once with one key do the work once and all get its answer', async () => {
  let done = 0;
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => onceOnly(store.db, idempotency('same'), async () => ({ number: ++done }))),
  );
  assert.equal(done, 1);
  assert.deepEqual(answers, Array(20).fill({ number: 1 }));
});

test('a key that failed is free again', async () => {
  const failing = onceOnly(store.db, idempotency('failed'), () => Promise.reject(new Error('no')));
  await assert.rejects(failing, /no/);
  assert.deepEqual(await onceOnly(store.db, idempotency('failed'), async () => ({ ok: 1 })), { ok: 1 });
});

test('a key that was used for another request is refused', async () => {
  await onceOnly(store.db, idempotency('taken', 'one'), async () => ({}));
  await assert.rejects(
    onceOnly(store.db, idempotency('taken', 'two'), async () => ({})),
    { name: 'IdempotencyMismatch' },
  );
});

test('each key of each user has an answer of its own', async () => {
  const grace = { name: 'grace', passwordHash: null, cloudRole: 'none' } as const;
  const { id: other } = await inTransaction(store.db, (tx) => insertUser(tx, store.system, grace));
  const mine = [idempotency('one'), idempotency('two'), idempotency('one', 'r', other)];
  for (const [number, key] of mine.entries()) await onceOnly(store.db, key, async () => ({ number }));
  for (const [number, key] of mine.entries()) {
    assert.deepEqual(await onceOnly(store.db, key, async () => ({ number: 99 })), { number });
  }
});

test('a key is forgotten after a day', async () => {
  await onceOnly(store.db, idempotency('old'), async () => ({ number: 1 }));
  await expireIdempotencyKeys(store.db, new Date(Date.now() + 25 * 3600 * 1000));
  assert.deepEqual(await onceOnly(store.db, idempotency('old'), async () => ({ number: 2 })), { number: 2 });
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { until } from '@virga/testing/until';
import { inTransaction } from './database.ts';
import { notify } from './notifications.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
after(() => store.close());

test('what a transaction tells is heard in order once it has committed, and never when it fails', async () => {
  const heard: string[] = [];
  const unsubscribe = store.notifications.subscribe('networks', (payload) => heard.push(payload));
  const failing = inTransaction(store.db, async (tx) => {
    await notify(tx, 'networks', 'of one that fails');
    throw new Error('later');
  });
  await assert.rejects(failing, /later/);
  await inTransaction(store.db, async (tx) => {
    await notify(tx, 'networks', 'first');
    await notify(tx, 'operations', 'for somebody else');
    await notify(tx, 'networks', 'second');
    await notify(store.db, 'networks', 'at once');
    await until('what needs no transaction is heard', () => heard.length > 0);
    assert.deepEqual(heard, ['at once']);
  });
  await until('the rest is heard', () => heard.length >= 3);
  assert.deepEqual(heard, ['at once', 'first', 'second']);
  unsubscribe();
});

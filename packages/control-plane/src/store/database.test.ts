import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTemporaryStore } from '@virga/testing/temporary-store';
import { until } from '@virga/testing/until';
import { sql } from 'kysely';
import { checkStore, inTransaction, openStore, storeError } from './database.ts';

test('transactions that collide are run again until each has had its turn', async () => {
  const store = await openTemporaryStore();
  try {
    await sql`create table counter (n integer not null); insert into counter values (0)`.execute(store.db);
    const increment = () =>
      inTransaction(store.db, async (tx) => {
        await sql`set transaction isolation level serializable`.execute(tx);
        const { rows } = await sql<{ n: number }>`select n from counter`.execute(tx);
        await sql`update counter set n = ${rows[0]!.n + 1}`.execute(tx);
      });
    await Promise.all([increment(), increment(), increment()]);
    const { rows } = await sql<{ n: number }>`select n from counter`.execute(store.db);
    assert.equal(rows[0]?.n, 3);
  } finally {
    await store.close();
  }
});

test('a database that is away is StoreUnavailable, and every other error stays what it is', async () => {
  const store = openStore({ host: '/nonexistent-socket-folder', connectionTimeoutMillis: 2_000 });
  await assert.rejects(checkStore(store.db), { name: 'StoreUnavailable' });
  await assert.rejects(
    inTransaction(store.db, async () => {}),
    { name: 'StoreUnavailable' },
  );
  await store.close();
  const bug = new TypeError('undefined is not a function');
  assert.equal(storeError(bug), bug);
});

test('a connection that the server cut off is replaced, and listeners look again', async () => {
  const store = await openTemporaryStore();
  try {
    let reconnected = false;
    store.notifications.onReconnected(() => {
      reconnected = true;
    });
    const others = sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`;
    await others.execute(store.db);
    await until('the listener has reconnected', () => reconnected);
    const heard = Promise.withResolvers<string>();
    store.notifications.subscribe('operations', heard.resolve);
    await sql`select pg_notify('virga_operations', 'op-1')`.execute(store.db);
    assert.equal(await heard.promise, 'op-1');
  } finally {
    await store.close();
  }
});

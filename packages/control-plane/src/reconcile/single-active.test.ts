import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { until } from '@virga/testing/until';
import { sql } from 'kysely';
import { pino } from 'pino';
import { openStore } from '../store/database.ts';
import { SingleActive } from './single-active.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
after(() => store.close());

/** A server that notes when it acts. */
function server(name: string, acting: Set<string>, db = store.db): SingleActive {
  return new SingleActive({ db, log: pino({ level: 'silent' }) }, async () => {
    acting.add(name);
    return { close: async () => void acting.delete(name) };
  });
}

test('of two servers one acts, and the other takes over when it ends', async () => {
  const acting = new Set<string>();
  const other = openStore({ ...store.config, application_name: 'second' });
  const [first, second] = [server('first', acting), server('second', acting, other.db)];
  first.start();
  await until('the first acts', () => acting.has('first'));
  second.start();
  await until('the second has asked for the lock', async () => {
    const { rows } = await sql`select from pg_stat_activity where application_name = 'second' and state = 'idle'
      and query like '%pg_try_advisory_lock%'`.execute(store.db);
    return rows.length > 0;
  });
  assert.deepEqual([...acting], ['first']);
  await first.close();
  assert.ok(!acting.has('first'));
  await until('the second acts', () => acting.has('second'));
  await second.close();
  await other.close();
  assert.equal(acting.size, 0);
});

test('a server whose session dies stops acting, and stands in line again', async () => {
  const acting = new Set<string>();
  const only = server('only', acting);
  only.start();
  await until('it acts', () => acting.has('only'));
  await sql`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())`.execute(store.db);
  await until('it stops', () => !acting.has('only'));
  await until('it acts again', () => acting.has('only'));
  await only.close();
});

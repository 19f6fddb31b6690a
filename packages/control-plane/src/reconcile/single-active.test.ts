import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { until } from '@virga/testing/until';
import { sql } from 'kysely';
import { pino } from 'pino';
import { SingleActive } from './single-active.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
after(() => store.close());

/** A server that notes when it acts. */
function server(name: string, acting: Set<string>): SingleActive {
  return new SingleActive({ db: store.db, log: pino({ level: 'silent' }) }, async () => {
    acting.add(name);
    return { close: async () => void acting.delete(name) };
  });
}

test('of two servers one acts, and the other takes over when it ends', async () => {
  const acting = new Set<string>();
  const [first, second] = [server('first', acting), server('second', acting)];
  first.start();
  await until('the first acts', () => acting.has('first'));
  second.start();
  await first.close();
  assert.ok(!acting.has('first'));
  await until('the second acts', () => acting.has('second'));
  await second.close();
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

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { fetchPage } from './page.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
after(() => store.close());

const page = (cursor: string | undefined, limit: number, direction: 'asc' | 'desc' = 'asc') =>
  fetchPage(store.db.selectFrom('projects').selectAll(), 'projects', { limit, cursor }, (row) => row.name, direction);

test('pages go on where the last one ended, also among rows of the same instant and while rows come', async () => {
  const instant = new Date('2030-01-01T00:00:00.123Z');
  const names = Array.from({ length: 10 }, (_, index) => `p${index}`);
  await store.db
    .insertInto('projects')
    .values(names.map((name) => ({ id: newId('project'), name, description: '', created_at: instant })))
    .execute();
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const { items, next } = await page(cursor, 3);
    seen.push(...items);
    if (cursor === undefined) {
      const early = { id: newId('project'), name: 'early', description: '', created_at: new Date('2000-01-01') };
      await store.db.insertInto('projects').values(early).execute();
    }
    cursor = next;
  } while (cursor !== undefined);
  assert.deepEqual(seen.toSorted(), ['first', ...names].toSorted());
});

test('the last page has no cursor, also when it is full', async () => {
  const { items } = await page(undefined, 1000);
  assert.equal((await page(undefined, items.length)).next, undefined);
  assert.notEqual((await page(undefined, items.length - 1)).next, undefined);
});

test('a cursor that no list gave out is refused before the database sees it', async () => {
  const encoded = (text: string) => Buffer.from(text).toString('base64url');
  for (const cursor of ['', 'x', encoded('1 i-0'), encoded('2030-13-99T00:00:00.000Z proj-00000000000000001')]) {
    await assert.rejects(page(cursor, 1), { name: 'InvalidArgument', field: '/cursor' });
  }
  await assert.rejects(page(encoded('2030-01-01T00:00:00.000Z proj-\0'), 1), { name: 'InvalidArgument' });
});

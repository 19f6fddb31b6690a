import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import type { Event } from '@virga/contract/rest/events';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { until } from '@virga/testing/until';
import { openStore } from '../store/database.ts';
import { appendEvent, endOfLog, listCloudEvents, listProjectEvents, readEvents } from './event-log.ts';
import { followEvents } from './follow-events.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
after(() => store.close());

const append = (type: string, resourceId?: string, projectId = store.projectId) =>
  store.db
    .transaction()
    .execute((tx) => appendEvent(tx, store.system, { type, projectId, resourceId, message: `${type}.` }));

/** Takes events from the feed until one of this type. */
async function takeUntil(events: AsyncIterable<Event>, type: string): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of events) {
    seen.push(event.type);
    if (event.type === type) return seen;
  }
  return seen;
}

test('a slow transaction cannot put an event before one that has been read', async () => {
  const start = await endOfLog(store.db);
  const resourceId = newId('instance');
  const other = openStore(store.config);
  const slow = await other.pool.connect();
  await slow.query('begin');
  await slow.query(
    `insert into events (category, type, project_id, resource_id, actor, message) values ('lifecycle', 'a.slow', $1, $2, 'x', 'x')`,
    [store.projectId, resourceId],
  );
  await append('a.fast', resourceId);
  const filter = { projectId: store.projectId, resourceId };
  assert.deepEqual(await readEvents(store.db, filter, { after: start, limit: 10 }), [], 'nothing is settled yet');
  const closing = new AbortController();
  const feed = await followEvents(store, filter, start, closing.signal);
  const taken = takeUntil(feed.events, 'a.fast');
  await slow.query('commit');
  assert.deepEqual(await taken, ['a.slow', 'a.fast']);
  slow.release();
  await other.close();
});

test('a feed that resumes from any event goes on with the next, and nothing is told twice', async () => {
  const resourceId = newId('instance');
  const filter = { projectId: store.projectId, resourceId };
  const start = await endOfLog(store.db);
  for (const type of ['b.one', 'b.two', 'b.three']) await append(type, resourceId);
  const closing = new AbortController();
  const first = await followEvents(store, filter, start, closing.signal);
  for await (const event of first.events) {
    if (event.type !== 'b.two') continue;
    const resumed = await followEvents(store, filter, event.cursor, closing.signal);
    assert.deepEqual(await takeUntil(resumed.events, 'b.three'), ['b.three']);
    break;
  }
});

test('a feed that nobody wants any more ends, also while it waits', async () => {
  const closing = new AbortController();
  const feed = await followEvents(store, { projectId: store.projectId }, undefined, closing.signal);
  const next = feed.events[Symbol.asyncIterator]().next();
  closing.abort();
  assert.equal((await next).done, true);
});

test('pages in both orders hold every event once', async () => {
  const resourceId = newId('instance');
  for (let index = 0; index < 7; index++) await append(`c.${index}`, resourceId);
  // Events are shown once no older transaction of the database server is under way, others' included.
  await until('the last event is shown', async () => {
    const { items } = await listProjectEvents(store.db, store.access('viewer'), { resourceId, limit: 10 });
    return items.length === 7;
  });
  for (const order of ['oldest', 'newest'] as const) {
    const types: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await listProjectEvents(store.db, store.access('viewer'), { resourceId, order, limit: 3, cursor });
      types.push(...page.items.map((event) => event.type));
      cursor = page.next;
    } while (cursor !== undefined);
    const expected = [0, 1, 2, 3, 4, 5, 6].map((index) => `c.${index}`);
    assert.deepEqual(types, order === 'oldest' ? expected : expected.reverse());
  }
});

test('a project sees its own events only', async () => {
  const resourceId = newId('instance');
  await append('d.other', resourceId, newId('project'));
  await until('the event is shown', async () => {
    const { items } = await listCloudEvents(store.db, undefined as never, { resourceId });
    return items.length === 1;
  });
  const page = await listProjectEvents(store.db, store.access('viewer'), { resourceId });
  assert.deepEqual(page.items, []);
});

test('a cursor that the log never gave out is refused, whatever it is', async () => {
  for (const cursor of ['', '1', '-', '1-', 'x-1', '99999999999999999999-1', '1-9999999999999999999', "1-1'; --"]) {
    await assert.rejects(
      listProjectEvents(store.db, store.access('viewer'), { cursor }),
      { name: 'InvalidArgument', field: '/cursor' },
      cursor,
    );
  }
});

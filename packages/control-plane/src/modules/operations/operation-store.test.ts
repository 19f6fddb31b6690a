import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { inTransaction } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { getOperation, listOperations } from './operation-operations.ts';
import { createOperation, endOperation, overtakeOperations, progressOperation } from './operation-store.ts';

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
after(() => store.close());

const now = new Date('2030-01-01T00:00:00Z');
const never = new AbortController().signal;
const create = (resourceId = newId('instance')) =>
  inTransaction(store.db, (tx) =>
    createOperation(tx, store.access('operator'), {
      kind: 'instance.launch',
      projectId: store.projectId,
      resourceId,
      resourceName: 'web-1',
    }),
  );
type OperationId = Awaited<ReturnType<typeof create>>;
const read = (id: OperationId, waitMs = 0, signal = never) =>
  getOperation(store, store.access('viewer'), id, waitMs, signal);
const progress = (id: OperationId, message: string, percent: number) =>
  progressOperation(store.db, store.system, id, { message, percent }, now);

test('percent never goes back, and only the end is a hundred', async () => {
  const id = await create();
  await progress(id, 'copying', 60);
  await progress(id, 'checking', 30);
  assert.deepEqual([(await read(id)).progressPercent, (await read(id)).message], [60, 'checking']);
  await progress(id, 'checking', 100);
  assert.equal((await read(id)).progressPercent, 99);
  await endOperation(store.db, store.system, id, {}, now);
  assert.deepEqual([(await read(id)).state, (await read(id)).progressPercent], ['succeeded', 100]);
});

test('an operation ends once, and nothing moves it afterwards', async () => {
  const id = await create();
  const error = new VirgaError('NoCapacity', { detail: 'Full.', action: 'Delete something.' });
  assert.equal(await endOperation(store.db, store.system, id, { error }, now), true);
  assert.equal(await endOperation(store.db, store.system, id, {}, now), false);
  await progress(id, 'late', 99);
  const operation = await read(id);
  assert.deepEqual([operation.state, operation.message, operation.error?.code], ['failed', 'Full.', 'NoCapacity']);
});

test('a newer request ends what was open for the resource, and nothing else', async () => {
  const resourceId = newId('instance');
  const [mine, other] = [await create(resourceId), await create()];
  await inTransaction(store.db, (tx) => overtakeOperations(tx, store.access('operator'), resourceId, 'a delete', now));
  assert.equal((await read(mine)).error?.code, 'Conflict');
  assert.equal((await read(other)).state, 'queued');
});

test('who waits is answered at the change, at once when it has ended, and when the time is over', async () => {
  const id = await create();
  const waiting = read(id, 60_000);
  await progress(id, 'copying', 10);
  assert.equal((await waiting).message, 'copying');
  assert.equal((await read(id, 1)).state, 'running');
  await endOperation(store.db, store.system, id, {}, now);
  assert.equal((await read(id, 60_000)).state, 'succeeded');
});

test('a notification that brings nothing new does not end the waiting', async () => {
  const id = await create();
  const waiting = read(id, 60_000);
  await inTransaction(store.db, (tx) => notify(tx, 'operations', id));
  await progress(id, 'copying', 10);
  assert.equal((await waiting).message, 'copying');
});

test('who has gone is not waited for', async () => {
  const gone = new AbortController();
  const waiting = read(await create(), 60_000, gone.signal);
  gone.abort();
  await waiting;
});

test('operations are listed newest first, by state and by resource', async () => {
  const resourceId = newId('instance');
  const [first, second] = [await create(resourceId), await create(resourceId)];
  await endOperation(store.db, store.system, first, {}, now);
  const list = async (query: Parameters<typeof listOperations>[2]) =>
    (await listOperations(store.db, store.access('viewer'), { resourceId, ...query })).items.map(({ id }) => id);
  assert.deepEqual((await list({})).toSorted(), [first, second].toSorted());
  assert.deepEqual(await list({ state: 'queued' }), [second]);
});

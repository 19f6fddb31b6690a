import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { OperationId } from '@virga/contract/ids';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { inTransaction, openStore } from '../store/database.ts';
import { startWorkflow } from './workflow.ts';
import { giveBack, LeaseLost, takeLeases, takeOverLeases, updateLeased } from './workflow-lease.ts';

const minuteMs = 60_000;

let store: TemporaryStore;
before(async () => {
  store = await openTemporaryStore();
});
beforeEach(() => store.db.deleteFrom('operations').execute());
after(() => store.close());

const begin = (name = 'disk') =>
  inTransaction(store.db, (tx) =>
    startWorkflow(
      tx,
      store.system,
      'test.lease',
      { projectId: store.projectId, resourceId: name, resourceName: name },
      { name },
    ),
  );
const take = async (owner: string, leaseMs = minuteMs) => takeLeases(store.db, owner, 10, leaseMs);
const stepOf = async (id: OperationId) =>
  (await store.db.selectFrom('operations').select('step').where('id', '=', id).executeTakeFirstOrThrow()).step;

test('who holds a lease holds it alone, until it runs out', async () => {
  await begin();
  assert.equal((await take('first')).length, 1);
  assert.deepEqual(await take('second'), []);
});

test('a holder whose lease was taken by another one cannot write, and cannot give it back', async () => {
  const id = await begin();
  const [first] = await take('first', 0);
  const [second] = await take('second');
  assert.equal(first?.id, id);
  assert.equal(second?.id, id);
  await assert.rejects(updateLeased(store.db, first!, { step: 5 }, 1000), LeaseLost);
  assert.equal(await stepOf(id), 0);
  await giveBack(store.db, first!, 0);
  assert.deepEqual(await take('third'), []);
  await updateLeased(store.db, second!, { step: 1 }, 1000);
  assert.equal(await stepOf(id), 1);
});

test('a holder whose lease was taken over by the next server cannot write', async () => {
  const id = await begin();
  const [first] = await take('first');
  await takeOverLeases(store.db);
  await assert.rejects(updateLeased(store.db, first!, { step: 5 }, 1000), LeaseLost);
  assert.equal(await stepOf(id), 0);
  assert.equal((await take('next')).length, 1);
});

test('a lease is longer with every write of its holder', async () => {
  await begin();
  const [first] = await take('first', 0);
  await updateLeased(store.db, first!, { step: 1 }, minuteMs);
  assert.deepEqual(await take('second'), []);
});

test('what was given back is taken again, when its time has come', async () => {
  await begin();
  const [first] = await take('first');
  await giveBack(store.db, first!, minuteMs);
  assert.deepEqual(await take('second'), []);
  await giveBack(store.db, first!, 0);
  assert.equal((await take('second')).length, 1);
});

test('a workflow that another engine is just taking is passed over, and not waited for', async () => {
  const id = await begin('first');
  const other = await begin('second');
  const impatient = openStore({ ...store.config, lock_timeout: 2_000 });
  await inTransaction(store.db, async (tx) => {
    await tx.selectFrom('operations').select('id').where('id', '=', id).forUpdate().execute();
    const taken = await takeLeases(impatient.db, 'second', 10, minuteMs);
    assert.deepEqual(
      taken.map((lease) => lease.id),
      [other],
    );
  });
  await impatient.close();
});

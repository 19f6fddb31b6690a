// Snapshots of a database that was lost, and the clones that rest on them: their hosts bring them back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { createTemporaryDatabase } from '@virga/testing/temporary-database';
import { cloneInstance } from '../modules/snapshots/clone-operations.ts';
import { createSnapshot } from '../modules/snapshots/snapshot-operations.ts';
import { openStore, type Store } from '../store/database.ts';
import { recoverCloud } from './recover-cloud.ts';

const rowsOf = async ({ db }: Pick<Store, 'db'>) => ({
  snapshots: await db.selectFrom('snapshots').selectAll().orderBy('id').execute(),
  clones: await db.selectFrom('linked_clones').selectAll().orderBy('instance_id').execute(),
});

test('snapshots come back from their hosts, with what rests on them', async (t) => {
  const cloud = await SimulatedCloud.start();
  t.after(() => cloud.close());
  await cloud.prepare();
  const database = await createTemporaryDatabase();
  t.after(() => database.drop());
  const { id } = await cloud.launch('web');
  const wanted = { instance: 'web', name: 'before', protected: true };
  await cloud.succeeded((await createSnapshot(cloud.deps, cloud.operator, wanted)).operationId);
  await cloud.succeeded((await cloneInstance(cloud.deps, cloud.operator, id, { name: 'copy' })).operationId);
  const before = await rowsOf(cloud.deps);
  assert.deepEqual([before.snapshots.length, before.clones.length], [2, 1]);
  await cloud.stop();
  await recoverCloud({
    database: database.config,
    hosts: [{ name: 'host-1', driver: 'simulated', agent: cloud.host().reopen() }],
  });
  const store = openStore(database.config);
  t.after(() => store.close());
  assert.deepEqual(await rowsOf(store), before);
  await cloud.startAgain();
});

// Snapshots of a database that was lost, what takes them by the clock, and the clones that rest on them: their hosts bring them back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { SettableClock } from '@virga/testing/settable-clock';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { createTemporaryDatabase } from '@virga/testing/temporary-database';
import { until } from '@virga/testing/until';
import { cloneInstance } from '../modules/snapshots/clone-operations.ts';
import { createSnapshot, deleteSnapshot, protectSnapshot } from '../modules/snapshots/snapshot-operations.ts';
import { createSnapshotSchedule } from '../modules/snapshots/snapshot-schedules.ts';
import { openStore, type Store } from '../store/database.ts';
import { notify } from '../store/notifications.ts';
import type { KeptHostState } from './host-keepsake.ts';
import { recoverCloud } from './recover-cloud.ts';

const rowsOf = async ({ db }: Pick<Store, 'db'>) => ({
  snapshots: await db.selectFrom('snapshots').selectAll().orderBy('id').execute(),
  // When one is due follows from the rest, and who asked for it is lost.
  schedules: (await db.selectFrom('snapshot_schedules').selectAll().orderBy('id').execute()).map(
    ({ next_run_at: _, user_id: __, ...row }) => row,
  ),
  clones: await db.selectFrom('linked_clones').selectAll().orderBy('instance_id').execute(),
});

test('snapshots come back from their hosts, with what rests on them', async (t) => {
  const clock = new SettableClock(new Date('2026-03-02T07:00:30Z'));
  const cloud = await SimulatedCloud.start({ clock });
  t.after(() => cloud.close());
  await cloud.prepare();
  const database = await createTemporaryDatabase();
  t.after(() => database.drop());
  const { id } = await cloud.launch('web');
  const take = async (name: string, isProtected: boolean) => {
    const wanted = { instance: 'web', name, protected: isProtected };
    const { snapshot, operationId } = await createSnapshot(cloud.deps, cloud.operator, wanted);
    await cloud.succeeded(operationId);
    return snapshot.id;
  };
  await take('before', true);
  const clone = async (name: string, snapshot?: string) => {
    const body = { name, ...(snapshot && { snapshot }) };
    await cloud.succeeded((await cloneInstance(cloud.deps, cloud.operator, id, body)).operationId);
  };
  await clone('copy');
  // What is said of them after they were taken.
  const [guarded, free, rested] = [await take('guarded', false), await take('free', true), await take('rested', false)];
  await protectSnapshot(cloud.deps, cloud.operator, guarded, true);
  await protectSnapshot(cloud.deps, cloud.operator, free, false);
  await clone('of-rested', 'rested');
  await cloud.succeeded((await deleteSnapshot(cloud.deps, cloud.operator, rested)).operationId);
  const schedule = await createSnapshotSchedule(cloud.deps, cloud.operator, id, { cron: '0 * * * *', keep: 3 });
  clock.forward(Date.UTC(2026, 2, 2, 8, 0, 1) - clock.now().getTime());
  await notify(cloud.deps.db, 'due');
  await until('the clock has taken one', async () => {
    const { snapshots } = await rowsOf(cloud.deps);
    return snapshots.some((row) => row.schedule_id === schedule.id && row.state === 'available');
  });
  const before = await rowsOf(cloud.deps);
  assert.deepEqual([before.snapshots.length, before.clones.length, before.schedules.length], [6, 2, 1]);
  await until('the host keeps the schedule, and what was said later', async () => {
    const { keepsakes } = await cloud.host().inventory();
    const { snapshotMarks } = keepsakes[0]!.keepsake as Partial<KeptHostState>;
    const marks = snapshotMarks?.map(({ id, purpose, is_protected }) => [id, purpose, is_protected]);
    const wanted = before.snapshots
      .filter(({ purpose, is_protected }) => purpose === 'clone' || is_protected)
      .map(({ id, purpose, is_protected }) => [id, purpose, is_protected]);
    return JSON.stringify(keepsakes).includes(schedule.id) && isDeepStrictEqual(marks, wanted);
  });
  await cloud.stop();
  const { counts } = await recoverCloud({
    database: database.config,
    hosts: [{ name: 'host-1', driver: 'simulated', agent: cloud.host().reopen() }],
  });
  assert.equal(counts.snapshotSchedules, 1);
  const store = openStore(database.config);
  t.after(() => store.close());
  assert.deepEqual(await rowsOf(store), before);
  await cloud.startAgain();
});

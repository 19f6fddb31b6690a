// Snapshots of a database that was lost, what takes them by the clock, and the clones that rest on them: their hosts bring them back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SettableClock } from '@virga/testing/settable-clock';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { createTemporaryDatabase } from '@virga/testing/temporary-database';
import { until } from '@virga/testing/until';
import { cloneInstance } from '../modules/snapshots/clone-operations.ts';
import { createSnapshot } from '../modules/snapshots/snapshot-operations.ts';
import { createSnapshotSchedule } from '../modules/snapshots/snapshot-schedules.ts';
import { openStore, type Store } from '../store/database.ts';
import { notify } from '../store/notifications.ts';
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
  const wanted = { instance: 'web', name: 'before', protected: true };
  await cloud.succeeded((await createSnapshot(cloud.deps, cloud.operator, wanted)).operationId);
  await cloud.succeeded((await cloneInstance(cloud.deps, cloud.operator, id, { name: 'copy' })).operationId);
  const schedule = await createSnapshotSchedule(cloud.deps, cloud.operator, id, { cron: '0 * * * *', keep: 3 });
  clock.forward(Date.UTC(2026, 2, 2, 8, 0, 1) - clock.now().getTime());
  await notify(cloud.deps.db, 'due');
  await until('the clock has taken one', async () => {
    const { snapshots } = await rowsOf(cloud.deps);
    return snapshots.some((row) => row.schedule_id === schedule.id && row.state === 'available');
  });
  const before = await rowsOf(cloud.deps);
  assert.deepEqual([before.snapshots.length, before.clones.length, before.schedules.length], [3, 1, 1]);
  await until('the host keeps the schedule', async () =>
    JSON.stringify((await cloud.host().inventory()).keepsakes).includes(schedule.id),
  );
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

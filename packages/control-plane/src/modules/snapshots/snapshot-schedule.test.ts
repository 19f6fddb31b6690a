import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SettableClock } from '@virga/testing/settable-clock';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { notify } from '../../store/notifications.ts';
import { hibernateInstance } from '../instances/power-operations.ts';
import { listSnapshots, protectSnapshot } from './snapshot-operations.ts';
import { createSnapshotSchedule, deleteSnapshotSchedule, listSnapshotSchedules } from './snapshot-schedules.ts';

let cloud: SimulatedCloud;
const clock = new SettableClock(new Date('2026-03-02T07:00:30Z'));
before(async () => {
  cloud = await SimulatedCloud.start({ clock });
  await cloud.prepare();
});
after(() => cloud.close());

/** A second after that hour. */
async function passUntil(hour: number): Promise<void> {
  clock.forward(Date.UTC(2026, 2, 2, hour, 0, 1) - clock.now().getTime());
  await notify(cloud.deps.db, 'due');
}

test('snapshots are taken by the clock, the latest are kept, and protected ones are not counted', async () => {
  const { id } = await cloud.launch('web');
  const schedule = await createSnapshotSchedule(cloud.deps, cloud.operator, id, { cron: '0 * * * *', keep: 2 });
  assert.equal(schedule.nextRunAt, '2026-03-02T08:00:00.000Z');
  const listed = await listSnapshotSchedules(cloud.deps.db, cloud.operator, id, {});
  assert.deepEqual(listed.items, [schedule]);
  const taken = async () => (await listSnapshots(cloud.deps.db, cloud.operator, { instanceId: id })).items;
  const names = async () => (await taken()).map(({ name }) => name);
  const atHour = async (hour: number, isSo: (names: string[]) => boolean) => {
    await passUntil(hour);
    await until(`what is due at ${hour} is done`, async () => {
      const now = await taken();
      return now.every(({ state }) => state === 'available') && isSo(now.map(({ name }) => name));
    });
  };
  const at = (hour: string) => `web-20260302-${hour}0001`;
  await atHour(8, (now) => now.length === 1);
  const [first] = await taken();
  await protectSnapshot(cloud.deps, cloud.operator, first!.id, true);
  await atHour(9, (now) => now.length === 2);
  await atHour(10, (now) => now.length === 3);
  await atHour(11, (now) => now.length === 3 && now.includes(at('11')));
  assert.deepEqual(await names(), [at('08'), at('10'), at('11')]);

  await cloud.succeeded((await hibernateInstance(cloud.deps, cloud.operator, id)).operationId);
  await passUntil(12);
  await until('it was said that none was taken', async () =>
    (await cloud.eventTypes(id)).includes('instance.snapshot-skipped'),
  );
  await deleteSnapshotSchedule(cloud.deps, cloud.operator, id, schedule.id);
  assert.equal((await taken()).length, 3);
});

test('a schedule that cannot be read any more ends, and holds up no other', async () => {
  const { id } = await cloud.launch('unreadable');
  const make = (cron: string) => createSnapshotSchedule(cloud.deps, cloud.operator, id, { cron, keep: 1 });
  const [broken, sound] = [await make('0 13 * * *'), await make('1 13 * * *')];
  const zone = { time_zone: 'Nowhere/Abolished' };
  await cloud.deps.db.updateTable('snapshot_schedules').set(zone).where('id', '=', broken.id).execute();
  clock.forward(Date.UTC(2026, 2, 2, 13, 2, 1) - clock.now().getTime());
  await notify(cloud.deps.db, 'due');
  await until('the other has run', async () =>
    (await listSnapshots(cloud.deps.db, cloud.operator, { instanceId: id })).items.some(
      ({ state }) => state === 'available',
    ),
  );
  const { items } = await listSnapshotSchedules(cloud.deps.db, cloud.operator, id, {});
  assert.deepEqual(
    items.map((schedule) => schedule.id),
    [sound.id],
  );
});

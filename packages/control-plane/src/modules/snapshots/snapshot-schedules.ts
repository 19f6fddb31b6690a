// What fronts call to read, create and delete schedules of snapshots.
import { VirgaError } from '@virga/contract/errors';
import { type InstanceId, newId, type ScheduleId } from '@virga/contract/ids';
import type { CreateSnapshotSchedule, SnapshotSchedule } from '@virga/contract/rest/snapshots';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import type { Database } from '../../store/schema.ts';
import { holdInstanceNamed } from '../instances/hold-instance-named.ts';
import { requireInstance } from '../instances/instance-operations.ts';
import { about } from '../instances/instance-outcome.ts';
import { firstRun } from '../instances/instance-schedule.ts';
import { conflict, requireOwnDisks } from './snapshot-subject.ts';

const maxSchedules = 20;

type Row = Selectable<Database['snapshot_schedules']> & { instance_name: string };

const selectSchedules = (db: Db | Tx) =>
  db
    .selectFrom('snapshot_schedules')
    .innerJoin('instances', 'instances.id', 'snapshot_schedules.instance_id')
    .selectAll('snapshot_schedules')
    .select('instances.name as instance_name');

/** @throws NotFound the instance */
export async function listSnapshotSchedules(db: Db, access: ProjectAccess, id: InstanceId, page: PageRequest) {
  await requireInstance(db, access, id);
  const query = selectSchedules(db).where('snapshot_schedules.instance_id', '=', id);
  return fetchPage(query, 'snapshot_schedules', page, (row) => toSchedule(row as Row));
}

/** @throws NotFound | Conflict it is being deleted, adopted, or has as many as it may have | InvalidArgument */
export async function createSnapshotSchedule(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { cron, timeZone = 'UTC', keep, memory = false }: CreateSnapshotSchedule,
): Promise<SnapshotSchedule> {
  const nextRunAt = firstRun({ cron, timeZone }, deps.clock.now());
  return inTransaction(deps.db, async (tx) => {
    const instance = await holdInstanceNamed(tx, access, id);
    requireOwnDisks(instance);
    const present = await tx.selectFrom('snapshot_schedules').select('id').where('instance_id', '=', id).execute();
    if (present.length >= maxSchedules) {
      throw conflict(
        `Instance ${instance.name} has ${present.length} schedules of snapshots, which is as many as it may have.`,
        `Delete one first: virga snapshots schedules ${instance.name}`,
      );
    }
    const scheduleId = newId('schedule');
    await tx
      .insertInto('snapshot_schedules')
      .values({
        ...{ id: scheduleId, instance_id: id, cron, time_zone: timeZone, keep, memory, next_run_at: nextRunAt },
        ...{ user_id: access.actor.userId, user_name: access.actor.name },
      })
      .execute();
    await appendEvent(tx, access, {
      ...about(instance, 'instance.snapshot-schedule-created'),
      message: `Snapshots of instance ${instance.name} are taken by the clock: ${cron} (${timeZone}), and ${keep} kept.`,
      data: { schedule: scheduleId, cron, timeZone, keep, memory },
    });
    await notify(tx, 'due');
    await notify(tx, 'keepsakes', instance.host_id);
    const row = await selectSchedules(tx).where('snapshot_schedules.id', '=', scheduleId).executeTakeFirstOrThrow();
    return toSchedule(row);
  });
}

/** @throws NotFound the instance, or it has no such schedule */
export async function deleteSnapshotSchedule(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  scheduleId: ScheduleId,
): Promise<void> {
  await inTransaction(deps.db, async (tx) => {
    const instance = await holdInstanceNamed(tx, access, id);
    const row = await tx
      .deleteFrom('snapshot_schedules')
      .where('id', '=', scheduleId)
      .where('instance_id', '=', id)
      .returningAll()
      .executeTakeFirst();
    if (!row) {
      throw new VirgaError('NotFound', {
        detail: `Instance ${instance.name} has no schedule of snapshots ${scheduleId}.`,
        action: `List them with virga snapshots schedules ${instance.name}.`,
      });
    }
    await notify(tx, 'keepsakes', instance.host_id);
    await appendEvent(tx, access, {
      ...about(instance, 'instance.snapshot-schedule-deleted'),
      message: `Snapshots of instance ${instance.name} are no longer taken by the clock: ${row.cron} (${row.time_zone}).`,
      data: { schedule: row.id },
    });
  });
}

function toSchedule(row: Row): SnapshotSchedule {
  return {
    id: row.id,
    instanceId: row.instance_id,
    instanceName: row.instance_name,
    cron: row.cron,
    timeZone: row.time_zone,
    keep: row.keep,
    memory: row.memory,
    nextRunAt: row.next_run_at.toISOString(),
    createdBy: row.user_name,
    createdAt: row.created_at.toISOString(),
  };
}

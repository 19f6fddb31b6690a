// What fronts call to read, create and delete the schedules of an instance. The host keeps them too, with the instance, so
// each change is one of what the instance is.
import { VirgaError } from '@virga/contract/errors';
import { type InstanceId, newId, type ScheduleId } from '@virga/contract/ids';
import { type CreateSchedule, maxSchedules, type Schedule } from '@virga/contract/rest/instance-schedules';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import type { Database } from '../../store/schema.ts';
import { amendInstance } from './instance-change.ts';
import { requireInstance } from './instance-operations.ts';
import { about } from './instance-outcome.ts';
import { firstRun } from './instance-schedule.ts';
import type { InstanceRow } from './instance-store.ts';

const amendment = { kind: 'instance.update', set: {} };

/** @throws NotFound the instance */
export async function listSchedules(db: Db, access: ProjectAccess, id: InstanceId, page: PageRequest) {
  await requireInstance(db, access, id);
  const query = db.selectFrom('instance_schedules').selectAll().where('instance_id', '=', id);
  return fetchPage(query, 'instance_schedules', page, toSchedule);
}

/**
 * @throws NotFound | Conflict the instance is being deleted, or has as many as it may have
 * @throws InvalidArgument @see firstRun
 */
export async function createSchedule(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { action, cron, timeZone = 'UTC' }: CreateSchedule,
): Promise<Schedule> {
  const nextRunAt = firstRun({ cron, timeZone }, deps.clock.now());
  return inTransaction(deps.db, async (tx) => {
    const instance = await holdForSchedule(tx, access, id);
    await refuseTooMany(tx, instance);
    const row = await tx
      .insertInto('instance_schedules')
      .values({
        id: newId('schedule'),
        instance_id: id,
        action,
        cron,
        time_zone: timeZone,
        next_run_at: nextRunAt,
        user_id: access.actor.userId,
        user_name: access.actor.name,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    await appendEvent(tx, access, {
      ...about(instance, 'instance.schedule-created'),
      message: `Instance ${instance.name} is to ${action} by the clock: ${cron} (${timeZone}).`,
      data: { schedule: row.id, action, cron, timeZone },
    });
    await amendInstance(tx, access, instance, amendment);
    await notify(tx, 'due');
    return toSchedule(row);
  });
}

/** @throws NotFound the instance, or it has no such schedule */
export async function deleteSchedule(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  scheduleId: ScheduleId,
): Promise<void> {
  await inTransaction(deps.db, async (tx) => {
    const instance = await holdForSchedule(tx, access, id);
    const row = await tx
      .deleteFrom('instance_schedules')
      .where('id', '=', scheduleId)
      .where('instance_id', '=', id)
      .returningAll()
      .executeTakeFirst();
    if (!row) {
      throw new VirgaError('NotFound', {
        detail: `Instance ${instance.name} has no schedule ${scheduleId}.`,
        action: `List its schedules with virga schedule list ${instance.name}.`,
      });
    }
    await appendEvent(tx, access, {
      ...about(instance, 'instance.schedule-deleted'),
      message: `Instance ${instance.name} is no longer to ${row.action} by the clock: ${row.cron} (${row.time_zone}).`,
      data: { schedule: row.id },
    });
    await amendInstance(tx, access, instance, amendment);
  });
}

async function holdForSchedule(tx: Tx, access: ProjectAccess<'operator'>, id: InstanceId): Promise<InstanceRow> {
  await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
  const instance = await requireInstance(tx, access, id);
  if (instance.desired !== 'deleted') return instance;
  throw new VirgaError('Conflict', {
    detail: `Instance ${instance.name} is being deleted.`,
    action: 'Launch another one.',
  });
}

async function refuseTooMany(tx: Tx, { id, name }: InstanceRow): Promise<void> {
  const rows = await tx.selectFrom('instance_schedules').select('id').where('instance_id', '=', id).execute();
  if (rows.length < maxSchedules) return;
  throw new VirgaError('Conflict', {
    detail: `Instance ${name} has ${rows.length} schedules, which is as many as it may have.`,
    action: `Delete one first: virga schedule list ${name}.`,
  });
}

function toSchedule(row: Selectable<Database['instance_schedules']>): Schedule {
  return {
    id: row.id,
    instanceId: row.instance_id,
    action: row.action,
    cron: row.cron,
    timeZone: row.time_zone,
    nextRunAt: row.next_run_at.toISOString(),
    createdBy: row.user_name,
    createdAt: row.created_at.toISOString(),
  };
}

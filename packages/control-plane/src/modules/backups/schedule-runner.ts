// Begins the backups that are due, on behalf of who made their schedules: what that user may no longer do is refused when it is due.
// A run and the time of the next one are one transaction. One that is due while the last is still being made is left out.
import { VirgaError } from '@virga/contract/errors';
import type { ScheduleId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { dueRun } from '../instances/instance-schedule.ts';
import { findInstance, type InstanceRow } from '../instances/instance-store.ts';
import { operatorAccessOf } from '../projects/access-of-user.ts';
import { beginBackup } from './backup-operations.ts';

type Context = { deps: Deps; access: SystemAccess };

const batchSize = 100;

export async function nextBackupRun(db: Db): Promise<Date | undefined> {
  const row = await db
    .selectFrom('backup_schedules')
    .select('next_run_at')
    .orderBy('next_run_at')
    .limit(1)
    .executeTakeFirst();
  return row?.next_run_at;
}

/** Begins all that is due by now. */
export async function runDueBackups(context: Context, signal: AbortSignal): Promise<void> {
  const { db, clock } = context.deps;
  for (;;) {
    const due = await db
      .selectFrom('backup_schedules')
      .select('id')
      .where('next_run_at', '<=', clock.now())
      .orderBy('next_run_at')
      .limit(batchSize)
      .execute();
    for (const { id } of due) {
      signal.throwIfAborted();
      await inTransaction(db, (tx) => runSchedule(context, tx, id));
    }
    if (due.length < batchSize) return;
  }
}

async function runSchedule({ deps, access }: Context, tx: Tx, id: ScheduleId): Promise<void> {
  const now = deps.clock.now();
  const schedule = await tx
    .selectFrom('backup_schedules')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  const instance = schedule && (await findInstance(tx, schedule.instance_id));
  if (!schedule || !instance || schedule.next_run_at > now) return;
  const { cron, time_zone: timeZone, next_run_at: dueAt } = schedule;
  const due = dueRun({ cron, timeZone }, dueAt, now);
  if (due.next) await tx.updateTable('backup_schedules').set({ next_run_at: due.next }).where('id', '=', id).execute();
  else await tx.deleteFrom('backup_schedules').where('id', '=', id).execute();
  const tell = (type: string, message: string) =>
    appendEvent(tx, access, { type, ...aboutInstance(instance), message, data: { schedule: id } });
  if (due.skippedFrom) {
    await tell(
      'backup.schedule-skipped',
      `Instance ${instance.name} was to be backed up at ${due.skippedFrom.toISOString()}, when no server ran; that is not made up for.`,
    );
  }
  if (!due.run || instance.desired === 'deleted') return;
  const pending = await tx
    .selectFrom('backups')
    .select('id')
    .where('schedule_id', '=', id)
    .where('state', '=', 'pending')
    .executeTakeFirst();
  if (pending) {
    return tell(
      'backup.schedule-skipped',
      `Instance ${instance.name} was to be backed up, but the backup before, ${pending.id}, is still being made.`,
    );
  }
  try {
    const { user_id: userId, user_name: userName, project_id: projectId } = schedule;
    const creator = await operatorAccessOf(tx, { userId, userName, projectId, requestId: id });
    const { store_id: storeId, freezes } = schedule;
    await beginBackup(tx, creator, instance, { storeId, full: false, freezes, scheduleId: id });
  } catch (error) {
    // A refusal comes before anything has changed.
    if (!(error instanceof VirgaError)) throw error;
    await tell(
      'backup.schedule-refused',
      `Instance ${instance.name} was to be backed up by the clock, which was refused: ${error.detail}`,
    );
  }
}

const aboutInstance = ({ id, name, project_id: projectId }: InstanceRow) => ({
  ...{ projectId, resourceId: id, resourceName: name },
});

// What all schedules have in common by the clock, whatever they do: which are due, and when the next one is. A run and the
// time of the one after are one transaction, so none happens twice, and what was missed is found at the next start.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, ScheduleId } from '@virga/contract/ids';
import type { Selectable } from 'kysely';
import type { Deps } from '../../deps.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { type DueRun, dueRun } from './instance-schedule.ts';
import { findInstance, type InstanceRow } from './instance-store.ts';

export type ScheduleTable = 'instance_schedules' | 'snapshot_schedules' | 'backup_schedules';
type Row<Table extends ScheduleTable> = Selectable<Database[Table]>;

/** A schedule that is due, of an instance that is held. */
export type DueSchedule<Table extends ScheduleTable> = {
  schedule: Row<Table>;
  instance: InstanceRow;
  now: Date;
} & Pick<DueRun, 'run' | 'skippedFrom'>;

const batchSize = 100;

export async function nextDueOf(db: Db, table: ScheduleTable): Promise<Date | undefined> {
  const row = await db.selectFrom(table).select('next_run_at').orderBy('next_run_at').limit(1).executeTakeFirst();
  return row?.next_run_at;
}

/** Runs all that is due by now, each in a transaction of its own. */
export async function runDue<Table extends ScheduleTable>(
  { db, clock }: Deps,
  table: Table,
  signal: AbortSignal,
  run: (tx: Tx, due: DueSchedule<Table>) => Promise<void>,
): Promise<void> {
  for (;;) {
    const rows = await db
      .selectFrom(table as ScheduleTable)
      .select(['id', 'instance_id'])
      .where('next_run_at', '<=', clock.now())
      .orderBy('next_run_at')
      .limit(batchSize)
      .execute();
    for (const { id, instance_id } of rows) {
      signal.throwIfAborted();
      await inTransaction(db, async (tx) => {
        const due = await takeDue(tx, table, id, instance_id, clock.now());
        if (due) await run(tx, due);
      });
    }
    if (rows.length < batchSize) return;
  }
}

/** Writes down when it runs next. Undefined when it is gone, or not due any more. */
async function takeDue<Table extends ScheduleTable>(
  tx: Tx,
  table: Table,
  id: ScheduleId,
  instanceId: InstanceId,
  now: Date,
): Promise<DueSchedule<Table> | undefined> {
  const schedules: ScheduleTable = table;
  // The instance first, as everywhere: its deletion takes the schedule along.
  await tx.selectFrom('instances').select('id').where('id', '=', instanceId).forUpdate().execute();
  const schedule = await tx.selectFrom(schedules).selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
  const instance = await findInstance(tx, instanceId);
  if (!schedule || !instance || schedule.next_run_at > now) return undefined;
  const { run, skippedFrom, next } = readDue(schedule, now);
  if (next) await tx.updateTable(schedules).set({ next_run_at: next }).where('id', '=', id).execute();
  else await tx.deleteFrom(schedules).where('id', '=', id).execute();
  return { schedule: schedule as Row<Table>, instance, now, run, skippedFrom };
}

/** A line that cannot be read any more, as after a time zone was abolished, never runs again, and holds up no other. */
function readDue({ cron, time_zone, next_run_at }: Row<ScheduleTable>, now: Date): DueRun {
  try {
    return dueRun({ cron, timeZone: time_zone }, next_run_at, now);
  } catch (error) {
    if (!(error instanceof VirgaError)) throw error;
    return { run: undefined, skippedFrom: next_run_at, next: undefined };
  }
}

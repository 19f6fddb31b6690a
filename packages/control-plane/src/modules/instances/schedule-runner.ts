// Runs schedules that are due, on behalf of who made them: what that user may no longer do is refused when it is due. A run
// and the time of the next one are one transaction, so none happens twice, and what was missed is found at the next start.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId, ScheduleId } from '@virga/contract/ids';
import type { ScheduledAction } from '@virga/contract/rest/instance-schedules';
import type { Selectable } from 'kysely';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { operatorAccessOf } from '../projects/access-of-user.ts';
import { conditionOf } from './instance.ts';
import type { InstanceChange, Requester } from './instance-change.ts';
import { carryOut, decideReboot, decideStart, decideStop, defaultStopSeconds } from './instance-operations.ts';
import { about } from './instance-outcome.ts';
import { type DueRun, dueRun } from './instance-schedule.ts';
import { findInstance, type InstanceRow } from './instance-store.ts';
import { transition } from './instance-transition.ts';
import { decidePower } from './power-operations.ts';

type Context = { deps: Deps; access: SystemAccess };
type ScheduleRow = Selectable<Database['instance_schedules']>;
type Decide = (deps: Deps, tx: Tx, access: Requester, row: InstanceRow) => Promise<InstanceChange | OperationId>;

const batchSize = 100;

const decisions: Record<ScheduledAction, Decide> = {
  start: decideStart,
  stop: (deps, tx, access, row) => decideStop(deps, tx, access, row, 'instance.stop', forceAt(deps)),
  suspend: (deps, tx, access, row) => decidePower(deps, tx, access, row, 'suspend'),
  resume: (deps, tx, access, row) => decidePower(deps, tx, access, row, 'resume'),
  hibernate: (deps, tx, access, row) => decidePower(deps, tx, access, row, 'hibernate'),
  reboot: async (deps, _tx, _access, row) => decideReboot(row, 'acpi', forceAt(deps).toISOString()),
};

const forceAt = ({ clock }: Deps) => new Date(clock.now().getTime() + defaultStopSeconds * 1000);

export async function nextScheduledRun(db: Db): Promise<Date | undefined> {
  const row = await db
    .selectFrom('instance_schedules')
    .select('next_run_at')
    .orderBy('next_run_at')
    .limit(1)
    .executeTakeFirst();
  return row?.next_run_at;
}

/** Runs all that is due by now. */
export async function runDueSchedules(context: Context, signal: AbortSignal): Promise<void> {
  const { db, clock } = context.deps;
  for (;;) {
    const due = await db
      .selectFrom('instance_schedules')
      .select(['id', 'instance_id'])
      .where('next_run_at', '<=', clock.now())
      .orderBy('next_run_at')
      .limit(batchSize)
      .execute();
    for (const { id, instance_id } of due) {
      signal.throwIfAborted();
      await inTransaction(db, (tx) => runSchedule(context, tx, id, instance_id));
    }
    if (due.length < batchSize) return;
  }
}

async function runSchedule({ deps, access }: Context, tx: Tx, id: ScheduleId, instanceId: InstanceId): Promise<void> {
  // The instance first, as everywhere: its deletion takes the schedule along.
  await tx.selectFrom('instances').select('id').where('id', '=', instanceId).forUpdate().execute();
  const schedule = await tx
    .selectFrom('instance_schedules')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  const instance = await findInstance(tx, instanceId);
  const now = deps.clock.now();
  if (!schedule || !instance || schedule.next_run_at > now) return;
  const due = readDue(schedule, now);
  if (due.next)
    await tx.updateTable('instance_schedules').set({ next_run_at: due.next }).where('id', '=', id).execute();
  else await tx.deleteFrom('instance_schedules').where('id', '=', id).execute();
  if (due.skippedFrom) await tellSkipped({ deps, access }, tx, instance, schedule, due.skippedFrom);
  if (!due.run || instance.desired === 'deleted') return;
  try {
    const { user_id: userId, user_name: userName } = schedule;
    const creator = await operatorAccessOf(tx, { userId, userName, projectId: instance.project_id, requestId: id });
    // What is so already, or on its way, needs nobody to ask for it.
    if (transition(schedule.action, conditionOf(instance)) === 'nothing') return;
    await carryOut(deps, tx, creator, instance, await decisions[schedule.action](deps, tx, creator, instance));
  } catch (error) {
    // A refusal comes before anything has changed.
    if (!(error instanceof VirgaError)) throw error;
    await appendEvent(tx, access, {
      ...about(instance, 'instance.schedule-refused'),
      message: `Instance ${instance.name} was to ${schedule.action} by the clock, which was refused: ${error.detail}`,
      data: { schedule: id, code: error.code },
    });
  }
}

/** A line that cannot be read any more, as after a time zone was abolished, never runs again. */
function readDue({ cron, time_zone, next_run_at }: ScheduleRow, now: Date): DueRun {
  try {
    return dueRun({ cron, timeZone: time_zone }, next_run_at, now);
  } catch (error) {
    if (!(error instanceof VirgaError)) throw error;
    return { run: undefined, skippedFrom: next_run_at, next: undefined };
  }
}

async function tellSkipped(
  { access }: Context,
  tx: Tx,
  instance: InstanceRow,
  { id, action }: ScheduleRow,
  from: Date,
): Promise<void> {
  await appendEvent(tx, access, {
    ...about(instance, 'instance.schedule-skipped'),
    message: `Instance ${instance.name} was to ${action} by the clock at ${from.toISOString()}, when no server ran; that is not made up for.`,
    data: { schedule: id, from: from.toISOString() },
  });
}

// Runs schedules that are due, on behalf of who made them: what that user may no longer do is refused when it is due.
import { VirgaError } from '@virga/contract/errors';
import type { OperationId } from '@virga/contract/ids';
import type { ScheduledAction } from '@virga/contract/rest/instance-schedules';
import type { Selectable } from 'kysely';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { operatorAccessOf } from '../projects/access-of-user.ts';
import { type DueSchedule, runDue } from './due-schedules.ts';
import { conditionOf } from './instance.ts';
import type { InstanceChange, Requester } from './instance-change.ts';
import { carryOut, decideReboot, decideStart, decideStop, defaultStopSeconds } from './instance-operations.ts';
import { about } from './instance-outcome.ts';
import type { InstanceRow } from './instance-store.ts';
import { transition } from './instance-transition.ts';
import { decidePower } from './power-operations.ts';

type Context = { deps: Deps; access: SystemAccess };
type ScheduleRow = Selectable<Database['instance_schedules']>;
type Decide = (deps: Deps, tx: Tx, access: Requester, row: InstanceRow) => Promise<InstanceChange | OperationId>;

const decisions: Record<ScheduledAction, Decide> = {
  start: decideStart,
  stop: (deps, tx, access, row) => decideStop(deps, tx, access, row, 'instance.stop', forceAt(deps)),
  suspend: (deps, tx, access, row) => decidePower(deps, tx, access, row, 'suspend'),
  resume: (deps, tx, access, row) => decidePower(deps, tx, access, row, 'resume'),
  hibernate: (deps, tx, access, row) => decidePower(deps, tx, access, row, 'hibernate'),
  reboot: async (deps, _tx, _access, row) => decideReboot(row, 'acpi', forceAt(deps).toISOString()),
};

const forceAt = ({ clock }: Deps) => new Date(clock.now().getTime() + defaultStopSeconds * 1000);

/** Runs all that is due by now. */
export const runDueSchedules = (context: Context, signal: AbortSignal): Promise<void> =>
  runDue(context.deps, 'instance_schedules', signal, (tx, due) => runSchedule(context, tx, due));

async function runSchedule(
  { deps, access }: Context,
  tx: Tx,
  { schedule, instance, run, skippedFrom }: DueSchedule<'instance_schedules'>,
): Promise<void> {
  const { id } = schedule;
  if (skippedFrom) await tellSkipped({ deps, access }, tx, instance, schedule, skippedFrom);
  if (!run || instance.desired === 'deleted') return;
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

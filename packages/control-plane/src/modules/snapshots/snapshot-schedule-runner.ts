// Takes snapshots that are due by a schedule, on behalf of who made it.
import { VirgaError } from '@virga/contract/errors';
import type { ScheduleId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { type DueSchedule, runDue } from '../instances/due-schedules.ts';
import { about } from '../instances/instance-outcome.ts';
import { operatorAccessOf } from '../projects/access-of-user.ts';
import { insertSnapshot, takeSnapshotKind } from './snapshot-operations.ts';
import { resourceOf } from './snapshot-store.ts';
import { conflict, requireSnapshotable } from './snapshot-subject.ts';

type Context = { deps: Deps; access: SystemAccess };

export const takeDueSnapshots = (context: Context, signal: AbortSignal): Promise<void> =>
  runDue(context.deps, 'snapshot_schedules', signal, (tx, due) => takeOne(context, tx, due));

async function takeOne(
  { deps, access }: Context,
  tx: Tx,
  { schedule, instance, run }: DueSchedule<'snapshot_schedules'>,
): Promise<void> {
  const { id, memory, user_id: userId, user_name: userName } = schedule;
  if (run === undefined || instance.desired === 'deleted') return;
  try {
    const creator = await operatorAccessOf(tx, { userId, userName, projectId: instance.project_id, requestId: id });
    requireSnapshotable(instance, { memory });
    if (await isStillTaking(tx, id)) throw conflict('The one before is still being taken.', 'Nothing.');
    const row = await insertSnapshot(deps, tx, creator, instance, { memory, schedule_id: id });
    await startWorkflow(tx, creator, takeSnapshotKind, resourceOf(row), { snapshotId: row.id });
  } catch (error) {
    // A refusal comes before anything has changed.
    if (!(error instanceof VirgaError)) throw error;
    await appendEvent(tx, access, {
      ...about(instance, 'instance.snapshot-skipped'),
      message: `No snapshot of instance ${instance.name} was taken by the clock: ${error.detail}`,
      data: { schedule: id, code: error.code },
    });
  }
}

async function isStillTaking(tx: Tx, id: ScheduleId): Promise<boolean> {
  const row = await tx
    .selectFrom('snapshots')
    .select('id')
    .where('schedule_id', '=', id)
    .where('state', '=', 'creating')
    .executeTakeFirst();
  return row !== undefined;
}

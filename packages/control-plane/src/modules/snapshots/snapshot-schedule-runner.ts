// Takes snapshots that are due by a schedule, on behalf of who made it. A run and the time of the next one are one
// transaction, so none happens twice; what was missed is made up for as for any schedule.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, ScheduleId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { about } from '../instances/instance-outcome.ts';
import { dueRun } from '../instances/instance-schedule.ts';
import { findInstance } from '../instances/instance-store.ts';
import { operatorAccessOf } from '../projects/access-of-user.ts';
import { insertSnapshot, takeSnapshotKind } from './snapshot-operations.ts';
import { resourceOf } from './snapshot-store.ts';
import { conflict, requireSnapshotable } from './snapshot-subject.ts';

type Context = { deps: Deps; access: SystemAccess };

const batchSize = 100;

export async function nextScheduledSnapshot(db: Db): Promise<Date | undefined> {
  const row = await db
    .selectFrom('snapshot_schedules')
    .select('next_run_at')
    .orderBy('next_run_at')
    .limit(1)
    .executeTakeFirst();
  return row?.next_run_at;
}

export async function takeDueSnapshots(context: Context, signal: AbortSignal): Promise<void> {
  const { db, clock } = context.deps;
  for (;;) {
    const due = await db
      .selectFrom('snapshot_schedules')
      .select(['id', 'instance_id'])
      .where('next_run_at', '<=', clock.now())
      .orderBy('next_run_at')
      .limit(batchSize)
      .execute();
    for (const { id, instance_id } of due) {
      signal.throwIfAborted();
      await inTransaction(db, (tx) => takeOne(context, tx, id, instance_id));
    }
    if (due.length < batchSize) return;
  }
}

async function takeOne({ deps, access }: Context, tx: Tx, id: ScheduleId, instanceId: InstanceId): Promise<void> {
  // The instance first, as everywhere: its deletion takes the schedule along.
  await tx.selectFrom('instances').select('id').where('id', '=', instanceId).forUpdate().execute();
  const schedule = await tx
    .selectFrom('snapshot_schedules')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  const instance = await findInstance(tx, instanceId);
  const now = deps.clock.now();
  if (!schedule || !instance || schedule.next_run_at > now) return;
  const { cron, time_zone: timeZone, memory, user_id: userId, user_name: userName } = schedule;
  const due = dueRun({ cron, timeZone }, schedule.next_run_at, now);
  if (due.next === undefined) await tx.deleteFrom('snapshot_schedules').where('id', '=', id).execute();
  else await tx.updateTable('snapshot_schedules').set({ next_run_at: due.next }).where('id', '=', id).execute();
  if (due.run === undefined || instance.desired === 'deleted') return;
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

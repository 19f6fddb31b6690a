// What follows a backup that the clock asked for: a chain that has become too long is made to begin anew with its last, and what the
// schedule need not keep is deleted, in whole chains.
import type { BackupId, ScheduleId } from '@virga/contract/ids';
import { appendEvent } from '../../events/event-log.ts';
import { type ActContext, step, workflow } from '../../workflows/workflow.ts';
import { type BackupRow, chainOf } from './backup-rows.ts';
import { endMerge, type Merged, merge, recordMerged } from './merge-backup.workflow.ts';
import { removeBackups } from './remove-backups.ts';
import { expendableBackups } from './retention.ts';

type Input = { scheduleId: ScheduleId };
export const retainBackupsKind = 'backup.retain';

export const retainBackups = workflow<Input>({
  kind: retainBackupsKind,
  isLong: true,
  steps: [
    step<Input, { id: BackupId; merged: Merged } | undefined>({
      message: 'putting a long chain together',
      act: mergeLongChain,
      record: (tx, _, made) => (made === undefined ? Promise.resolve() : recordMerged(tx, made.id, made.merged)),
      undo: async (context) => {
        const youngest = (await backupsOf(context)).at(0);
        if (youngest !== undefined) await endMerge(context.deps, youngest.id);
      },
    }),
    step<Input>({
      message: 'deleting what need not be kept',
      act: async (context) => {
        const { deps, access, input } = context;
        const backups = await backupsOf(context);
        const schedule = await findSchedule(context);
        const youngest = backups.at(0);
        if (schedule === undefined || youngest === undefined) return;
        await endMerge(deps, youngest.id);
        const all = backups.map((row) => ({ id: row.id, takenAt: row.taken_at!, parentId: row.parent_id }));
        // What rests on it, and was made by hand, keeps it; and so does who restores or tests it just now.
        const needed = await neededByOthers(context);
        const expendable = expendableBackups(all, schedule.retention).filter((id) => !needed.has(id));
        if (expendable.length === 0) return;
        await removeBackups(context, expendable);
        await deps.db.transaction().execute((tx) =>
          appendEvent(tx, access, {
            ...{ type: 'backup.retained', projectId: youngest.project_id, resourceId: youngest.instance_id },
            resourceName: youngest.instance_name,
            message: `${expendable.length} backups of ${youngest.instance_name} were deleted, as its schedule says.`,
            data: { schedule: input.scheduleId, deleted: expendable },
          }),
        );
      },
    }),
  ],
});

const findSchedule = ({ deps, input }: ActContext<Input>) =>
  deps.db.selectFrom('backup_schedules').selectAll().where('id', '=', input.scheduleId).executeTakeFirst();

/** Of the schedule, the youngest first. */
const backupsOf = ({ deps, input }: ActContext<Input>): Promise<BackupRow[]> =>
  deps.db
    .selectFrom('backups')
    .selectAll()
    .where('schedule_id', '=', input.scheduleId)
    .where('state', '=', 'available')
    .orderBy('taken_at', 'desc')
    .execute();

async function mergeLongChain(context: ActContext<Input>): Promise<{ id: BackupId; merged: Merged } | undefined> {
  const schedule = await findSchedule(context);
  const youngest = (await backupsOf(context)).at(0);
  if (schedule === undefined || youngest === undefined) return undefined;
  if ((await chainOf(context.deps.db, youngest.id)).length <= schedule.chain_limit) return undefined;
  const merged = await merge(context, youngest.id);
  return merged && { id: youngest.id, merged };
}

/** Backups that are being worked with, or that others than those of this schedule rest on, at whatever distance. */
async function neededByOthers(context: ActContext<Input>): Promise<Set<BackupId>> {
  const { deps, input } = context;
  const own = (await backupsOf(context)).map(({ id }) => id);
  if (own.length === 0) return new Set();
  const others = await deps.db
    .selectFrom('backups')
    .select('id')
    .where((where) => where.or([where('schedule_id', 'is', null), where('schedule_id', '!=', input.scheduleId)]))
    .where('parent_id', 'in', own)
    .execute();
  const inUse = await deps.db
    .selectFrom('operations')
    .select('resource_id as id')
    .where('resource_id', 'in', own)
    .where('state', 'in', ['queued', 'running'])
    .execute();
  const chains = await Promise.all([...others, ...inUse].map(({ id }) => chainOf(deps.db, id as BackupId)));
  return new Set(chains.flat().map(({ id }) => id));
}

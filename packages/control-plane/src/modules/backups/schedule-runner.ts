// Begins the backups that are due, on behalf of who made their schedules: what that user may no longer do is refused when it is due.
// One that is due while the last is still being made is left out.
import { VirgaError } from '@virga/contract/errors';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import { type DueSchedule, runDue } from '../instances/due-schedules.ts';
import type { InstanceRow } from '../instances/instance-store.ts';
import { operatorAccessOf } from '../projects/access-of-user.ts';
import { beginBackup } from './backup-operations.ts';

type Context = { deps: Deps; access: SystemAccess };

/** Begins all that is due by now. */
export const runDueBackups = (context: Context, signal: AbortSignal): Promise<void> =>
  runDue(context.deps, 'backup_schedules', signal, (tx, due) => beginOne(context, tx, due));

async function beginOne(
  { access }: Context,
  tx: Tx,
  { schedule, instance, run, skippedFrom }: DueSchedule<'backup_schedules'>,
): Promise<void> {
  const { id } = schedule;
  const tell = (type: string, message: string) =>
    appendEvent(tx, access, { type, ...aboutInstance(instance), message, data: { schedule: id } });
  if (skippedFrom) {
    await tell(
      'backup.schedule-skipped',
      `Instance ${instance.name} was to be backed up at ${skippedFrom.toISOString()}, when no server ran; that is not made up for.`,
    );
  }
  if (!run || instance.desired === 'deleted') return;
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

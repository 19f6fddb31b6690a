// Single files of backups: opening one, reading in it, and closing what has been open for long enough.
import type { RestoredPath } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import { type BackupId, newId, type OperationId } from '@virga/contract/ids';
import type { Backup } from '@virga/contract/rest/backups';
import type { ProjectAccess, SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { createOperation, endOperation } from '../operations/operation-store.ts';
import { requireIdle } from './backup-operations.ts';
import { requireBackup, resourceOf, toBackup } from './backup-rows.ts';
import { openBackupKind, openMs } from './open-backup.workflow.ts';

/** One that is open stays so for another hour. @throws NotFound | Conflict */
export async function openBackup(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: BackupId,
): Promise<{ backup: Backup; operationId: OperationId }> {
  return inTransaction(deps.db, async (tx) => {
    const row = await requireIdle(tx, access, id);
    await appendEvent(tx, access, {
      ...{ type: 'backup.open-requested', ...resourceOf(row) },
      message: `Files of a backup of instance ${row.instance_name} are to be read.`,
      data: { backup: id },
    });
    if (row.opened === null) {
      const input = { backupId: id, restoreId: newId('restore') };
      const operationId = await startWorkflow(tx, access, openBackupKind, resourceOf(row), input);
      return { backup: toBackup(row), operationId };
    }
    const now = deps.clock.now();
    const until = new Date(now.getTime() + openMs);
    await tx.updateTable('backups').set({ opened_until: until }).where('id', '=', id).execute();
    await notify(tx, 'due');
    const operationId = await createOperation(tx, access, { kind: openBackupKind, ...resourceOf(row) });
    await endOperation(tx, access, operationId, {}, now);
    return { backup: toBackup({ ...row, opened_until: until }), operationId };
  });
}

/** @throws NotFound | Conflict it is not open, or has no file system that can be read | HostUnavailable */
export async function readBackupFile(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: BackupId,
  { path, offset = 0 }: { path: string; offset?: number },
  signal: AbortSignal,
): Promise<RestoredPath> {
  const row = await requireBackup(deps.db, access, id);
  const root = row.disks.find(({ role }) => role === 'root');
  if (row.opened === null || root === undefined) {
    throw new VirgaError('Conflict', {
      detail: `The backup ${id} is not open.`,
      action: `Open it first, or let the command do it: virga backups files ${id}`,
    });
  }
  const { restoreId, hostId } = row.opened;
  const wanted = { id: restoreId, cloudId: deps.cloudId, disk: root.id, path, offset };
  return deps.agents.agentOf(hostId).readRestoredPath(wanted, { signal });
}

export async function nextClosing(db: Db): Promise<Date | undefined> {
  const row = await db
    .selectFrom('backups')
    .select('opened_until')
    .where('opened_until', 'is not', null)
    .orderBy('opened_until')
    .limit(1)
    .executeTakeFirst();
  return row?.opened_until ?? undefined;
}

const retryMs = 60_000;

/** What has been open for long enough goes from its host. */
export async function closeDue({ deps }: { deps: Deps; access: SystemAccess }, signal: AbortSignal): Promise<void> {
  const now = deps.clock.now();
  const due = await deps.db.selectFrom('backups').selectAll().where('opened_until', '<=', now).execute();
  for (const { id, opened, opened_until: until } of due) {
    signal.throwIfAborted();
    const closed =
      opened === null ||
      (await deps.agents
        .agentOf(opened.hostId)
        .endRestore({ id: opened.restoreId, cloudId: deps.cloudId }, { signal })
        .then(
          () => true,
          () => false,
        ));
    const set = closed ? { opened: null, opened_until: null } : { opened_until: new Date(now.getTime() + retryMs) };
    await deps.db.updateTable('backups').set(set).where('id', '=', id).where('opened_until', '=', until).execute();
  }
}

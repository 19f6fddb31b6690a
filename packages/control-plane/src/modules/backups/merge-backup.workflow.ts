// Makes a backup stand alone: in the store, of what it rests on, without the instance. Those that rest on it go on doing so.
import type { StoredDisk } from '@virga/contract/agent/backups';
import type { BackupId } from '@virga/contract/ids';
import type { Deps } from '../../deps.ts';
import type { Tx } from '../../store/database.ts';
import { type ActContext, step, workflow } from '../../workflows/workflow.ts';
import { chainOf, diskChains, findBackup } from './backup-rows.ts';
import { accessOf, agentFor, requireStore } from './store-rows.ts';

type Input = { backupId: BackupId };
export const mergeBackupKind = 'backup.merge';

export type Merged = { disks: StoredDisk[]; settingsSnapshotId: string };

export const mergeBackup = workflow<Input>({
  kind: mergeBackupKind,
  isLong: true,
  steps: [
    step<Input, Merged | undefined>({
      message: 'putting the backup together',
      act: (context) => merge(context, context.input.backupId),
      record: (tx, { input }, merged) => recordMerged(tx, input.backupId, merged),
      undo: ({ deps, input }) => endMerge(deps, input.backupId),
    }),
    step<Input>({ message: 'cleaning up', act: ({ deps, input }) => endMerge(deps, input.backupId) }),
  ],
});

/** @returns undefined when it stands alone already */
export async function merge(
  { deps, signal, onProgress }: ActContext<unknown>,
  id: BackupId,
): Promise<Merged | undefined> {
  const chain = await chainOf(deps.db, id);
  const row = chain.at(-1);
  if (row === undefined || row.parent_id === null) return undefined;
  const store = await requireStore(deps.db, row.store_id);
  const { cloudId } = deps;
  return agentFor(deps, store, row.host_id).mergeBackup(
    {
      ...{ id, cloudId, store: accessOf(deps, store), disks: diskChains(chain) },
      settingsSnapshotId: row.settings_snapshot_id!,
    },
    { signal, onProgress },
  );
}

/** What was in the store of it before belongs to no backup then, and goes with the next check or removal. */
export async function recordMerged(tx: Tx, id: BackupId, merged: Merged | undefined): Promise<void> {
  if (merged === undefined) return;
  await tx
    .updateTable('backups')
    .set({
      ...{ disks: JSON.stringify(merged.disks), settings_snapshot_id: merged.settingsSnapshotId },
      ...{ parent_id: null, full_reason: 'synthetic', verified: null },
    })
    .where('id', '=', id)
    .execute();
}

export async function endMerge(deps: Deps, id: BackupId): Promise<void> {
  const row = await findBackup(deps.db, id);
  if (row === undefined) return;
  const store = await requireStore(deps.db, row.store_id);
  const instance = { id: row.instance_id, uuid: '' };
  await agentFor(deps, store, row.host_id).endBackup({ id, cloudId: deps.cloudId, instance, made: true });
}

// Takes backups out of their store and then out of the database. What rests on others goes before those.
import type { BackupId } from '@virga/contract/ids';
import type { ActContext } from '../../workflows/workflow.ts';
import { type BackupRow, findBackup, snapshotsOf } from './backup-rows.ts';
import { accessOf, agentFor, requireStore } from './store-rows.ts';

/** @param ids in the order in which they go */
export async function removeBackups(
  { deps, signal }: Pick<ActContext<unknown>, 'deps' | 'signal'>,
  ids: readonly BackupId[],
): Promise<void> {
  const rows: BackupRow[] = [];
  for (const id of ids) {
    const row = await findBackup(deps.db, id);
    if (row !== undefined) rows.push(row);
  }
  const [first] = rows;
  if (first === undefined) return;
  for (const { opened } of rows) {
    if (opened === null) continue;
    await deps.agents.agentOf(opened.hostId).endRestore({ id: opened.restoreId, cloudId: deps.cloudId }, { signal });
  }
  const store = await requireStore(deps.db, first.store_id);
  const snapshots = rows.flatMap(snapshotsOf);
  await agentFor(deps, store, first.host_id).removeStoreSnapshots(accessOf(deps, store), snapshots, { signal });
  for (const { id } of rows) await deps.db.deleteFrom('backups').where('id', '=', id).execute();
}

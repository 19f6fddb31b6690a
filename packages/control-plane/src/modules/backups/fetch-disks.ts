// Fetches the disks of a backup on a host, and what belongs to the machine.
import type { StoredDisk } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { BackupId, HostId, RestoreId } from '@virga/contract/ids';
import type { Db, Tx } from '../../store/database.ts';
import type { ActContext } from '../../workflows/workflow.ts';
import { type BackupRow, chainOf, diskChains } from './backup-rows.ts';
import { accessOf, requireStore } from './store-rows.ts';

type Input = { backupId: BackupId; restoreId: RestoreId };

/** The host of the store, if it is of one; else that where the instance was. */
export async function restoreHost(db: Db | Tx, row: BackupRow): Promise<HostId> {
  return (await requireStore(db, row.store_id)).host_id ?? row.host_id;
}

/** @throws BackupUnusable | StorageFull | BackupStoreUnavailable */
export async function fetchDisks(
  { deps, input, signal, onProgress }: ActContext<Input>,
  { hidesBase, only }: { hidesBase: boolean; only?: StoredDisk['role'] },
): Promise<void> {
  const chain = await chainOf(deps.db, input.backupId);
  const row = chain.at(-1);
  if (row === undefined) {
    throw new VirgaError('NotFound', {
      detail: `There is no backup ${input.backupId} any more.`,
      action: 'Restore another one: virga backups list.',
    });
  }
  const disks = diskChains(chain).filter(({ role }) => only === undefined || role === only);
  const store = await requireStore(deps.db, row.store_id);
  const agent = deps.agents.agentOf(await restoreHost(deps.db, row));
  await agent.fetchRestore(
    {
      ...{ id: input.restoreId, cloudId: deps.cloudId, store: accessOf(deps, store), disks, hidesBase },
      // Who looks into a disk starts no machine.
      settingsSnapshotId: only === undefined ? (row.settings_snapshot_id ?? undefined) : undefined,
    },
    { signal, onProgress },
  );
}

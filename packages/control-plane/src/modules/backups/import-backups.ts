// Writes down what backups lie in a store that was opened, or that a lost database had. A step of what opens, imports and checks
// stores: a check removes what belongs to no backup, so all are to be known before. Nothing in the store changes.
import type { HostAgent } from '@virga/contract/agent/agent';
import type { StoredBackup } from '@virga/contract/agent/backups';
import type { BackupStoreId, ProjectId } from '@virga/contract/ids';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import { type StepContext, step } from '../../workflows/workflow.ts';
import { insertStored } from './kept-backup.ts';
import { accessOf, agentFor, requireStore } from './store-rows.ts';

/** The project is for backups of projects that are not here. */
export type ImportInput = { storeId: BackupStoreId; projectId: ProjectId };
type Found = Awaited<ReturnType<HostAgent['findStoredBackups']>>;

/** Does nothing when they are known. */
export const importBackups = step<ImportInput, Found | undefined>({
  message: 'looking for backups in the store',
  act: async ({ deps, input, signal, onProgress }) => {
    const store = await requireStore(deps.db, input.storeId);
    if (store.imported) return undefined;
    const known = await deps.db.selectFrom('backups').select('id').where('store_id', '=', store.id).execute();
    const ids = known.map(({ id }) => id);
    return agentFor(deps, store).findStoredBackups(accessOf(deps, store), ids, { signal, onProgress });
  },
  record: async (tx, context, found) => {
    if (found !== undefined) await recordFound(tx, context, found);
    await tx
      .updateTable('backup_stores')
      .set({ state: 'available', state_reason: null, imported: true })
      .where('id', '=', context.input.storeId)
      .execute();
  },
});

async function recordFound(
  tx: Tx,
  { deps, access, input: { storeId, projectId } }: StepContext<ImportInput>,
  { found, incomplete }: Found,
): Promise<void> {
  const store = await requireStore(tx, storeId);
  const hosts = await tx.selectFrom('hosts').select('id').orderBy('created_at').orderBy('id').execute();
  const whereto = { store, hostIds: hosts.map(({ id }) => id), projectId };
  const known = await tx.selectFrom('backups').select('id').where('store_id', '=', storeId).execute();
  const there = new Set<string>(known.map(({ id }) => id));
  let imported = 0;
  // What others rest on before those; what rests on something that is not there is of no use.
  for (let left = found; ; left = left.filter(({ made }) => !there.has(made.id))) {
    const next = left.filter(({ parentId }) => parentId === null || there.has(parentId));
    const inserted: StoredBackup[] = [];
    for (const stored of next) if (await insertStored(tx, access, deps, stored, whereto)) inserted.push(stored);
    for (const { made } of inserted) there.add(made.id);
    imported += inserted.length;
    if (inserted.length === 0) break;
  }
  const unusable = incomplete + found.length - imported;
  if (imported === 0 && unusable === 0) return;
  const others =
    unusable === 0 ? '' : ` ${unusable} more are not whole, or do not say what they are, and are left alone.`;
  await appendEvent(tx, access, {
    ...{ type: 'backup-store.imported', projectId: null, resourceId: storeId, resourceName: store.name },
    message: `${imported} backups were found in the backup store ${store.name}.${others}`,
    data: { imported, unusable },
  });
}

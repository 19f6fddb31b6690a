// Looks for backups in a store that is known: what another cloud has put there, or what a lost database knew. What cannot be looked at
// says so, and is looked at with the next check.
import { workflow } from '../../workflows/workflow.ts';
import { type ImportInput, importBackups } from './import-backups.ts';

export const importStoreKind = 'backup-store.import';

export const importStore = workflow<ImportInput>({
  kind: importStoreKind,
  isLong: true,
  steps: [importBackups],
  failed: async (tx, { input }, error) => {
    await tx
      .updateTable('backup_stores')
      .set({ state: 'unreachable', state_reason: error.detail })
      .where('id', '=', input.storeId)
      .execute();
  },
});

// Opens a backup store on a host that sees it, and makes it where there is none; what backups lie in it is known then. One that
// cannot be opened is forgotten again, and the operation says why.
import { VirgaError } from '@virga/contract/errors';
import { notify } from '../../store/notifications.ts';
import { step, workflow } from '../../workflows/workflow.ts';
import { type ImportInput, importBackups } from './import-backups.ts';
import { accessOf, agentFor, requireStore } from './store-rows.ts';

export const openStoreKind = 'backup-store.create';

export const openStore = workflow<ImportInput>({
  kind: openStoreKind,
  steps: [
    step<ImportInput>({
      message: 'opening the backup store',
      act: async ({ deps, input, signal }) => {
        const row = await requireStore(deps.db, input.storeId);
        try {
          await agentFor(deps, row).openBackupStore(accessOf(deps, row), { signal });
        } catch (error) {
          // Who has just typed it in wants to know, and not to wait.
          if (!(error instanceof VirgaError) || error.code !== 'BackupStoreUnavailable') throw error;
          const { detail } = error;
          const action =
            'Check place and keys, and create it again; one that is there already is opened with --password-file.';
          throw new VirgaError('InvalidArgument', { detail, action, cause: error });
        }
      },
    }),
    importBackups,
  ],
  failed: async (tx, { input }) => {
    await tx.deleteFrom('backup_stores').where('id', '=', input.storeId).execute();
    await notify(tx, 'keepsakes');
  },
});

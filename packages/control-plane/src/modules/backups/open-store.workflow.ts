// Opens a backup store on a host that sees it, and makes it where there is none. One that cannot be opened is forgotten again, and
// the operation says why.
import { VirgaError } from '@virga/contract/errors';
import type { BackupStoreId } from '@virga/contract/ids';
import { step, workflow } from '../../workflows/workflow.ts';
import { accessOf, agentFor, requireStore } from './store-rows.ts';

type Input = { storeId: BackupStoreId };
export const openStoreKind = 'backup-store.create';

export const openStore = workflow<Input>({
  kind: openStoreKind,
  steps: [
    step<Input>({
      message: 'opening the backup store',
      act: async ({ deps, input, signal }) => {
        const row = await requireStore(deps.db, input.storeId);
        try {
          await agentFor(deps, row).openBackupStore(accessOf(deps, row), { signal });
        } catch (error) {
          // Who has just typed it in wants to know, and not to wait.
          if (!(error instanceof VirgaError) || error.code !== 'BackupStoreUnavailable') throw error;
          const { detail } = error;
          const action = 'Check place, keys and password, and create it again.';
          throw new VirgaError('InvalidArgument', { detail, action, cause: error });
        }
      },
      record: async (tx, { input }) => {
        await tx.updateTable('backup_stores').set({ state: 'available' }).where('id', '=', input.storeId).execute();
      },
    }),
  ],
  failed: async (tx, { input }) => {
    await tx.deleteFrom('backup_stores').where('id', '=', input.storeId).execute();
  },
});

// Takes a backup out of its store.
import type { BackupId } from '@virga/contract/ids';
import { step, workflow } from '../../workflows/workflow.ts';
import { removeBackups } from './remove-backups.ts';

type Input = { backupId: BackupId };
export const deleteBackupKind = 'backup.delete';

export const deleteBackup = workflow<Input>({
  kind: deleteBackupKind,
  steps: [
    step<Input>({
      message: 'removing the backup from its store',
      act: (context) => removeBackups(context, [context.input.backupId]),
    }),
  ],
  failed: async (tx, { input }) => {
    await tx.updateTable('backups').set({ state: 'available' }).where('id', '=', input.backupId).execute();
  },
});

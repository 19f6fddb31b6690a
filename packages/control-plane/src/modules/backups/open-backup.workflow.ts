// Fetches the root disk of a backup on a host, where its files can be read until an hour has passed. One that is open stays open.
import type { BackupId, HostId, RestoreId } from '@virga/contract/ids';
import { notify } from '../../store/notifications.ts';
import { step, workflow } from '../../workflows/workflow.ts';
import { findBackup } from './backup-rows.ts';
import { fetchDisks, restoreHost } from './fetch-disks.ts';

type Input = { backupId: BackupId; restoreId: RestoreId };
export const openBackupKind = 'backup.open';

export const openMs = 3_600_000;

export const openBackup = workflow<Input>({
  kind: openBackupKind,
  isLong: true,
  steps: [
    step<Input, HostId>({
      message: 'fetching the root disk',
      act: async (context) => {
        await fetchDisks(context, { hidesBase: false, only: 'root' });
        return restoreHost(context.deps.db, (await findBackup(context.deps.db, context.input.backupId))!);
      },
      record: async (tx, { deps, input: { backupId, restoreId } }, hostId) => {
        await tx
          .updateTable('backups')
          .set({
            opened: JSON.stringify({ restoreId, hostId }),
            opened_until: new Date(deps.clock.now().getTime() + openMs),
          })
          .where('id', '=', backupId)
          .execute();
        await notify(tx, 'due');
      },
      undo: async ({ deps, input: { backupId, restoreId } }) => {
        const row = await findBackup(deps.db, backupId);
        if (row === undefined) return;
        const agent = deps.agents.agentOf(await restoreHost(deps.db, row));
        await agent.endRestore({ id: restoreId, cloudId: deps.cloudId });
      },
    }),
  ],
});

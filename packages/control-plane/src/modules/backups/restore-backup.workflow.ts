// Makes a new instance of a backup: its disks are fetched on the host that is to have it, it is written down as one that is
// launched, and waited for. What fails leaves nothing, volumes neither.
import type { BackupId, InstanceId, RestoreId, UserId } from '@virga/contract/ids';
import { type ActContext, step, workflow } from '../../workflows/workflow.ts';
import { keepVolumes, untilLaunched } from '../instances/await-launch.ts';
import { launchRestored } from '../instances/launch-restored.ts';
import { operatorAccessOf } from '../projects/access-of-user.ts';
import { chainOf, diskChains, findBackup } from './backup-rows.ts';
import { fetchDisks, restoreHost } from './fetch-disks.ts';

type Input = {
  backupId: BackupId;
  restoreId: RestoreId;
  instanceId: InstanceId;
  name: string;
  type: string;
  network: string;
  /** Absent: the storage of the host. */
  pool?: string;
  userId: UserId | null;
  userName: string;
};
export const restoreBackupKind = 'backup.restore';

export const restoreBackup = workflow<Input>({
  kind: restoreBackupKind,
  isLong: true,
  steps: [
    step<Input>({
      message: 'fetching the disks',
      act: (context) => fetchDisks(context, { hidesBase: false }),
      record: async (tx, { deps, input }) => {
        const row = (await findBackup(tx, input.backupId))!;
        const access = await operatorAccessOf(tx, {
          ...{ userId: input.userId, userName: input.userName, projectId: row.project_id },
          requestId: input.restoreId,
        });
        const disks = diskChains(await chainOf(tx, row.id));
        const restored = (disk: (typeof disks)[number]) => ({ id: input.restoreId, disk: disk.id });
        const root = disks.find(({ role }) => role === 'root')!;
        const { machine } = row;
        await launchRestored(deps, tx, access, {
          ...{ instanceId: input.instanceId, name: input.name, type: input.type, network: input.network, machine },
          pool: input.pool,
          hostId: await restoreHost(tx, row),
          root: { sizeBytes: root.sizeBytes, disk: restored(root) },
          volumes: disks
            .filter(({ role }) => role === 'data')
            .flatMap((disk) => {
              const volume = machine.volumes.find(({ id }) => id === disk.id);
              return volume ? [{ ...volume, sizeBytes: disk.sizeBytes, disk: restored(disk) }] : [];
            }),
        });
      },
      undo: endRestore,
    }),
    step<Input>({
      message: 'bringing the instance to its host',
      act: ({ deps, input, signal }) => untilLaunched(deps, { id: input.instanceId, name: input.name }, signal),
      record: (tx, { input }) => keepVolumes(tx, input.instanceId),
    }),
  ],
});

/** What was fetched for an instance that is not going to be. */
async function endRestore({ deps, input }: ActContext<Input>): Promise<void> {
  const row = await findBackup(deps.db, input.backupId);
  if (row === undefined) return;
  const hostId = await restoreHost(deps.db, row);
  await deps.agents.agentOf(hostId).endRestore({ id: input.restoreId, cloudId: deps.cloudId });
}

// Puts the disks of a backup in the place of those that the instance has. The old ones are kept until the new ones are there; what
// fails puts them back.
import type { RestoreSwap } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { BackupId, RestoreId } from '@virga/contract/ids';
import type { Deps } from '../../deps.ts';
import { type ActContext, step, workflow } from '../../workflows/workflow.ts';
import { findInstance } from '../instances/instance-store.ts';
import { giveKeys } from '../volumes/volume-keys.ts';
import { findBackup } from './backup-rows.ts';
import { fetchDisks } from './fetch-disks.ts';

type Input = { backupId: BackupId; restoreId: RestoreId };
export const restoreInPlaceKind = 'backup.restore-in-place';

export const restoreInPlace = workflow<Input>({
  kind: restoreInPlaceKind,
  isLong: true,
  steps: [
    step<Input>({
      message: 'fetching the disks',
      act: async (context) => {
        const { swap, agent } = await swapOf(context.deps, context.input);
        await giveKeys(context.deps, { instanceId: swap.instance.id }, context.signal);
        // Better known now than when all is fetched.
        await agent.checkSwap(swap, { signal: context.signal });
        await fetchDisks(context, { hidesBase: true });
      },
      undo: endRestore,
    }),
    step<Input>({
      message: 'putting the disks in their place',
      act: async ({ deps, input, signal }) => {
        const { swap, agent } = await swapOf(deps, input);
        await giveKeys(deps, { instanceId: swap.instance.id }, signal);
        await agent.swapDisks(swap, { signal });
      },
      record: async (tx, { input }) => {
        const row = (await findBackup(tx, input.backupId))!;
        // What is recorded of changes is of the disks that were there before.
        await tx.updateTable('backups').set({ recorded: false }).where('instance_id', '=', row.instance_id).execute();
      },
      undo: async ({ deps, input }) => {
        const { swap, agent } = await swapOf(deps, input);
        await agent.swapDisksBack(swap);
      },
    }),
    step<Input>({ message: 'removing the disks that were replaced', act: endRestore }),
  ],
});

async function swapOf(deps: Deps, input: Input) {
  const row = await findBackup(deps.db, input.backupId);
  const instance = row && (await findInstance(deps.db, row.instance_id));
  if (row === undefined || instance === undefined) {
    throw new VirgaError('NotFound', {
      detail: 'The instance, or its backup, was deleted meanwhile.',
      action: 'Restore the backup as a new instance, if it is still there.',
    });
  }
  const { id, uuid, host_id: hostId } = instance;
  const disks = row.disks.map((disk) => ({ id: disk.id, role: disk.role, fetched: disk.id }));
  const swap: RestoreSwap = { id: input.restoreId, cloudId: deps.cloudId, instance: { id, uuid }, disks };
  return { swap, agent: deps.agents.agentOf(hostId) };
}

async function endRestore({ deps, input }: ActContext<Input>): Promise<void> {
  const row = await findBackup(deps.db, input.backupId);
  if (row === undefined) return;
  await deps.agents.agentOf(row.host_id).endRestore({ id: input.restoreId, cloudId: deps.cloudId });
}

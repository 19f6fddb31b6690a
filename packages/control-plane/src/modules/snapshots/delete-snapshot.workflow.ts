// Has the host forget a snapshot and merge what only it needed, then deletes its row. When the host refuses, the snapshot stays
// as failed, and can be deleted again. One that clones rest on by now stays until the last of them goes.
import type { SnapshotId } from '@virga/contract/ids';
import { failureOf } from '../../store/failure.ts';
import { type ActContext, step, workflow } from '../../workflows/workflow.ts';
import { deleteSnapshotKind } from './snapshot-operations.ts';
import { findSnapshot } from './snapshot-store.ts';
import { removeFromHost } from './take-snapshot.workflow.ts';

type Input = { snapshotId: SnapshotId };

export const deleteSnapshotWorkflow = workflow<Input>({
  kind: deleteSnapshotKind,
  isLong: true,
  steps: [
    step<Input>({
      message: 'merging what only it needed',
      act: async (context: ActContext<Input>) => {
        const row = await findSnapshot(context.deps.db, context.input.snapshotId);
        if (row?.state === 'deleting') await removeFromHost(context);
      },
      record: async (tx, { input }) => {
        await tx.deleteFrom('snapshots').where('id', '=', input.snapshotId).where('state', '=', 'deleting').execute();
      },
    }),
  ],
  failed: async (tx, { input }, error) => {
    await tx
      .updateTable('snapshots')
      .set({ state: 'error', failure: failureOf(error) })
      .where('id', '=', input.snapshotId)
      .execute();
  },
});

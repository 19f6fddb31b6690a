// Has the host forget a snapshot and merge what only it needed, then deletes its row. When the host refuses, the snapshot stays
// as failed, and can be deleted again. One that clones rest on by now stays until the last of them goes. A deletion that is
// cancelled leaves the snapshot as it was, or, where what it keeps has been written over, ends at once without the rest.
import { VirgaError } from '@virga/contract/errors';
import type { SnapshotId } from '@virga/contract/ids';
import { appendEvent } from '../../events/event-log.ts';
import { failureOf } from '../../store/failure.ts';
import { untilCancelled } from '../../workflows/until-cancelled.ts';
import { type ActContext, step, workflow } from '../../workflows/workflow.ts';
import { giveKeys } from '../volumes/volume-keys.ts';
import { deleteSnapshotKind } from './snapshot-operations.ts';
import { findSnapshot, instanceOf, resourceOf } from './snapshot-store.ts';
import { removeFromHost } from './take-snapshot.workflow.ts';

type Input = { snapshotId: SnapshotId };

/** Of a deletion: whether it was cut short. */
type Outcome = { isCut: boolean };

export const deleteSnapshotWorkflow = workflow<Input>({
  kind: deleteSnapshotKind,
  isLong: true,
  steps: [
    step<Input, Outcome>({
      message: 'merging what only it needed',
      act: removeUnlessCancelled,
      record: async (tx, { access, input }, { isCut }) => {
        const row = await findSnapshot(tx, input.snapshotId);
        if (row?.state !== 'deleting') return;
        await tx.deleteFrom('snapshots').where('id', '=', row.id).execute();
        if (!isCut) return;
        await appendEvent(tx, access, {
          type: 'snapshot.merge-left',
          ...resourceOf(row),
          message: `Snapshot ${row.name} is gone all the same, because its merging had begun; what is left of that is merged with the next deletion.`,
          data: { instanceId: row.instance_id },
        });
      },
    }),
  ],
  failed: async (tx, { input }, error) => {
    const row = await findSnapshot(tx, input.snapshotId);
    const isKept = row?.is_deletion_cancelled && error.code === 'Conflict';
    await tx
      .updateTable('snapshots')
      .set(
        isKept ? { state: 'available', is_deletion_cancelled: false } : { state: 'error', failure: failureOf(error) },
      )
      .where('id', '=', input.snapshotId)
      .execute();
  },
});

async function removeUnlessCancelled(context: ActContext<Input>): Promise<Outcome> {
  const { deps, input, signal } = context;
  const row = await findSnapshot(deps.db, input.snapshotId);
  if (row?.state !== 'deleting') return { isCut: false };
  const isCancelled = async () => (await findSnapshot(deps.db, row.id))?.is_deletion_cancelled ?? false;
  try {
    await untilCancelled(context, { channel: 'snapshots', id: row.id, isCancelled, error: cancelled }, (wanted) =>
      removeFromHost({ ...context, signal: wanted }),
    );
    return { isCut: false };
  } catch (error) {
    if (signal.aborted || !(await isCancelled())) throw error;
    await giveKeys(deps, { instanceId: row.instance_id }, signal);
    const agent = deps.agents.agentOf(row.host_id);
    const asked = { id: row.id, cloudId: deps.cloudId, instance: instanceOf(row) };
    if ((await agent.cancelDeletion(asked, { signal })).kept) throw cancelled(error);
    return { isCut: true };
  }
}

const cancelled = (cause: unknown) =>
  new VirgaError('Conflict', {
    detail: 'The deletion was cancelled, and the snapshot is as it was.',
    action: 'Nothing: it was asked for.',
    cause,
  });

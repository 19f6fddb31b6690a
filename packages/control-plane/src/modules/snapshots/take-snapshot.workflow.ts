// Has the host take a snapshot; one that it cannot take is gone again. A schedule's is followed by the end of those that are
// too many of it.
import type { ObservedSnapshot } from '@virga/contract/agent/snapshots';
import type { SnapshotId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';
import { type ActContext, type StepContext, step, workflow } from '../../workflows/workflow.ts';
import { endFreezeGuard, guardFreeze } from '../instances/guest-freeze.ts';
import { giveKeys } from '../volumes/volume-keys.ts';
import { beginDeletion, takeSnapshotKind } from './snapshot-operations.ts';
import { desiredSnapshotOf, findSnapshot, instanceOf, selectSnapshots, snapshotNotFound } from './snapshot-store.ts';

type Input = { snapshotId: SnapshotId };

const frozenAtMostMs = 30_000;

export const takeSnapshotWorkflow = workflow<Input>({
  kind: takeSnapshotKind,
  steps: [
    step<Input, ObservedSnapshot>({
      message: 'taking the snapshot',
      act: takeOnHost,
      record: recordTaken,
      undo: removeFromHost,
    }),
    step<Input>({ message: 'deleting what is too many', record: (tx, { input, access }) => prune(tx, access, input) }),
  ],
  failed: async (tx, { input }) => {
    await tx.deleteFrom('snapshots').where('id', '=', input.snapshotId).execute();
  },
});

export async function takeOnHost({ deps, input, signal, onProgress }: ActContext<Input>): Promise<ObservedSnapshot> {
  const row = await findSnapshot(deps.db, input.snapshotId);
  // The instance is gone, and its snapshots with it.
  if (row === undefined) throw snapshotNotFound(input.snapshotId);
  const desired = desiredSnapshotOf(row, deps.cloudId);
  await giveKeys(deps, { instanceId: row.instance_id }, signal);
  const agent = deps.agents.agentOf(row.host_id);
  // With its memory a guest is not frozen, and stands still for longer.
  const guard = row.memory ? null : await guardFreeze(deps, row.instance_id, frozenAtMostMs);
  const taken = await agent.applySnapshot(desired, { signal, onProgress });
  // After a failure the guest may be frozen still.
  await endFreezeGuard(deps, row.instance_id, guard);
  return taken;
}

export async function recordTaken(
  tx: Tx,
  { input }: StepContext<Input>,
  { consistency, disks, machineState, takenAt }: ObservedSnapshot,
): Promise<void> {
  await tx
    .updateTable('snapshots')
    .set({
      ...{ state: 'available', consistency, disks: JSON.stringify(disks), taken_at: new Date(takenAt) },
      machine_state: JSON.stringify(machineState),
    })
    .where('id', '=', input.snapshotId)
    .execute();
}

export async function removeFromHost({ deps, input, signal }: ActContext<Input>): Promise<void> {
  const row = await findSnapshot(deps.db, input.snapshotId);
  if (row === undefined) return;
  await giveKeys(deps, { instanceId: row.instance_id }, signal);
  const agent = deps.agents.agentOf(row.host_id);
  await agent.deleteSnapshot({ id: row.id, cloudId: deps.cloudId, instance: instanceOf(row) }, { signal });
}

/** Protected ones are not counted. */
async function prune(tx: Tx, access: StepContext<Input>['access'], { snapshotId }: Input): Promise<void> {
  const taken = await tx
    .selectFrom('snapshots')
    .innerJoin('snapshot_schedules as s', 's.id', 'snapshots.schedule_id')
    .select(['s.id', 's.keep'])
    .where('snapshots.id', '=', snapshotId)
    .executeTakeFirst();
  if (taken === undefined) return;
  const surplus = await selectSnapshots(tx)
    .where('snapshots.schedule_id', '=', taken.id)
    .where('snapshots.is_protected', '=', false)
    .where('snapshots.state', 'in', ['available', 'error'])
    .orderBy('snapshots.created_at', 'desc')
    .orderBy('snapshots.id', 'desc')
    .offset(taken.keep)
    .execute();
  for (const row of surplus) await beginDeletion(tx, access, row);
}

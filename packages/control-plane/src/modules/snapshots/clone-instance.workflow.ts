// Makes an instance of the disks of another one: a snapshot of that, the root disk on the host, then the instance with its
// volumes, which are made as any other. One that cannot be made leaves nothing. A snapshot that was taken for a full clone is
// of no use any more; that of a linked one stays with it.
import type { ObservedSnapshot } from '@virga/contract/agent/snapshots';
import { type InstanceId, newId, type SnapshotId, type VolumeId } from '@virga/contract/ids';
import { brokenConstraint, type Tx } from '../../store/database.ts';
import { type ActContext, type StepContext, step, workflow } from '../../workflows/workflow.ts';
import { keepVolumes, untilLaunched } from '../instances/await-launch.ts';
import { cloneIdentity, insertClone } from '../instances/insert-clone.ts';
import { findInstance } from '../instances/instance-store.ts';
import { nameTaken } from '../instances/launch-instance.ts';
import { cloneInstanceKind } from './clone-operations.ts';
import { type ClonedVolume, insertVolumes } from './cloned-volumes.ts';
import { beginDeletion } from './snapshot-operations.ts';
import { findSnapshot, instanceOf, snapshotNotFound } from './snapshot-store.ts';
import { recordTaken, removeFromHost, takeOnHost } from './take-snapshot.workflow.ts';

type Input = {
  instanceId: InstanceId;
  name: string;
  sourceId: InstanceId;
  snapshotId: SnapshotId;
  /** It was there before. */
  isGiven: boolean;
  full: boolean;
  starts: boolean;
  /** Absent in what an earlier version began, as is the next. */
  volumes?: ClonedVolume[];
  rootDiskId?: VolumeId;
};

export const cloneInstanceWorkflow = workflow<Input>({
  kind: cloneInstanceKind,
  isLong: true,
  steps: [
    step<Input, ObservedSnapshot | undefined>({
      message: 'taking a snapshot of the original',
      act: async (context) => (context.input.isGiven ? undefined : takeOnHost(context)),
      record: async (tx, context, taken) => {
        if (taken) await recordTaken(tx, context, taken);
      },
      undo: async (context) => {
        if (!context.input.isGiven) await removeFromHost(context);
      },
    }),
    step<Input>({ message: 'making the disk', act: makeDisk, undo: removeDisk }),
    step<Input>({ message: 'making the instance', record: insert }),
    step<Input>({
      message: 'bringing the instance to its host',
      act: ({ deps, input, signal }) => untilLaunched(deps, { id: input.instanceId, name: input.name }, signal),
      record: async (tx, { input, access }) => {
        await keepVolumes(tx, input.instanceId);
        if (!input.full || input.isGiven) return;
        const snapshot = await findSnapshot(tx, input.snapshotId);
        if (snapshot) await beginDeletion(tx, access, snapshot);
      },
    }),
  ],
  failed: async (tx, { input }) => {
    if (!input.isGiven) await tx.deleteFrom('snapshots').where('id', '=', input.snapshotId).execute();
  },
});

async function makeDisk({ deps, input, signal, onProgress }: ActContext<Input>): Promise<void> {
  const snapshot = await findSnapshot(deps.db, input.snapshotId);
  if (snapshot === undefined) throw snapshotNotFound(input.snapshotId);
  await deps.agents.agentOf(snapshot.host_id).makeClone(
    {
      ...{ ...cloneIdentity({ id: input.instanceId, name: input.name }), cloudId: deps.cloudId },
      snapshot: { id: snapshot.id, instance: instanceOf(snapshot) },
      rootDiskId: input.rootDiskId ?? newId('volume'),
      kind: input.full ? 'full' : 'linked',
    },
    { signal, onProgress },
  );
}

/** Of an instance there is nothing to undo: it is deleted as any other. */
async function removeDisk({ deps, input, signal }: ActContext<Input>): Promise<void> {
  const snapshot = await findSnapshot(deps.db, input.snapshotId);
  if (snapshot === undefined || (await findInstance(deps.db, input.instanceId)) !== undefined) return;
  const identity = { ...cloneIdentity({ id: input.instanceId, name: input.name }), cloudId: deps.cloudId, nics: [] };
  await deps.agents.agentOf(snapshot.host_id).deleteInstance(identity, { signal });
}

async function insert(tx: Tx, { deps, access, input }: StepContext<Input>): Promise<void> {
  const { instanceId, name, starts, snapshotId, full, volumes: planned = [], rootDiskId = newId('volume') } = input;
  await tx.selectFrom('instances').select('id').where('id', '=', input.sourceId).forUpdate().execute();
  const source = await findInstance(tx, input.sourceId);
  const snapshot = await findSnapshot(tx, snapshotId);
  if (source === undefined || source.desired === 'deleted' || snapshot === undefined) {
    throw snapshotNotFound(snapshotId);
  }
  try {
    await insertClone(deps, tx, access, source, { id: instanceId, name, starts, rootDiskId, full });
  } catch (error) {
    if (brokenConstraint(error) === 'instances_name_taken') throw nameTaken(name);
    throw error;
  }
  await insertVolumes(deps, tx, access, { id: instanceId, name }, { snapshot, source, planned });
  if (full) return;
  await tx.insertInto('linked_clones').values({ instance_id: instanceId, snapshot_id: snapshotId }).execute();
}

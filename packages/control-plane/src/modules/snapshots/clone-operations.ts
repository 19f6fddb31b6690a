// What fronts call to clone an instance, that runs or not. The clone gets a snapshot to be made from, unless it is made from
// one that is there.
import { type InstanceId, newId, type OperationId } from '@virga/contract/ids';
import type { CloneInstance } from '@virga/contract/rest/snapshots';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { holdInstanceNamed } from '../instances/hold-instance-named.ts';
import { refuseTakenName } from '../instances/launch-instance.ts';
import { requireCloneRoom } from '../instances/root-pool.ts';
import { planVolumes } from './cloned-volumes.ts';
import { insertSnapshot } from './snapshot-operations.ts';
import { holdSnapshot, type SnapshotView } from './snapshot-store.ts';
import { conflict, requireSnapshotable } from './snapshot-subject.ts';

export const cloneInstanceKind = 'instance.clone';

/** What the guest has sealed with the TPM of the original, such as the key of its disk, cannot be unsealed with it. */
const ownTpm = 'Its TPM is a new one, which is empty.';

/** @throws NotFound | Conflict it can have no snapshot now | StorageFull | NameTaken | IdempotencyMismatch */
export async function cloneInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { name, full = false, snapshot: snapshotName, start = true, volumes: withVolumes = true }: CloneInstance,
  idempotency?: Idempotency,
): Promise<{ instanceId: InstanceId; operationId: OperationId }> {
  return onceOnly(deps.db, idempotency, async (tx) => {
    const source = await holdInstanceNamed(tx, access, id);
    requireSnapshotable(source, { memory: false });
    await refuseTakenName(tx, access, name);
    const given = snapshotName === undefined ? undefined : await givenSnapshot(tx, access, id, snapshotName);
    await requireCloneRoom(tx, source);
    const volumes = withVolumes ? await planVolumes(tx, source, given) : [];
    const snapshot = given ?? (await insertSnapshot(deps, tx, access, source, { memory: false, purpose: 'clone' }));
    const instanceId = newId('instance');
    const resource = { projectId: access.projectId, resourceId: instanceId, resourceName: name };
    const operationId = await startWorkflow(tx, access, cloneInstanceKind, resource, {
      ...{ instanceId, name, sourceId: id, snapshotId: snapshot.id, isGiven: given !== undefined },
      ...{ full, starts: start, volumes, rootDiskId: newId('volume') },
    });
    await appendEvent(tx, access, {
      type: 'instance.clone-requested',
      ...resource,
      message: `A ${full ? 'full' : 'linked'} clone of instance ${source.name} called ${name} was asked for.${source.tpm ? ` ${ownTpm}` : ''}`,
      data: { source: id, snapshot: snapshot.id, full, volumes: volumes.map((volume) => volume.id) },
    });
    return { instanceId, operationId };
  });
}

async function givenSnapshot(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  idOrName: string,
): Promise<SnapshotView> {
  const field = '/snapshot';
  const snapshot = await holdSnapshot(tx, access, idOrName, field);
  if (snapshot.instance_id !== id) {
    throw conflict(
      `Snapshot ${snapshot.name} is of instance ${snapshot.instance_name}.`,
      `Clone that one: virga clone ${snapshot.instance_name} NAME --snapshot ${snapshot.name}`,
      field,
    );
  }
  if (snapshot.state === 'available') return snapshot;
  throw conflict(`Snapshot ${snapshot.name} is ${snapshot.state}.`, 'Use another one.', field);
}

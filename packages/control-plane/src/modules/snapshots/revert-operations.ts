// What fronts call to put an instance back to a snapshot. What it loses is what callers are told to ask about first.
import { newId, type SnapshotId } from '@virga/contract/ids';
import type { RevertSnapshot } from '@virga/contract/rest/snapshots';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { holdInstanceNamed } from '../instances/hold-instance-named.ts';
import type { InstanceRow } from '../instances/instance-store.ts';
import { type Changed, insertSnapshot } from './snapshot-operations.ts';
import { holdSnapshot, isBusy, resourceOf, type SnapshotView, toSnapshot } from './snapshot-store.ts';
import { conflict, isHibernated, requireOwnDisks } from './snapshot-subject.ts';

export const revertSnapshotKind = 'snapshot.revert';

/**
 * @throws NotFound | Conflict the instance is on and may not be stopped, is hibernated, or has other disks than the snapshot is
 *   of; or another snapshot of it is being taken or deleted
 */
export async function revertSnapshot(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: SnapshotId,
  { restart = false, keepCurrent = false }: RevertSnapshot,
): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    const known = await holdSnapshot(tx, access, id);
    const instance = await holdInstanceNamed(tx, access, known.instance_id);
    if (known.state !== 'available') throw conflict(`Snapshot ${known.name} is ${known.state}.`, 'Use another one.');
    if (await isBusy(tx, instance.id)) {
      throw conflict(
        `A snapshot of instance ${instance.name} is being taken, deleted or gone back to.`,
        'Wait until that has ended: virga operations list.',
      );
    }
    requireOwnDisks(instance);
    if (instance.state === 'hibernated' || instance.state === 'hibernating') throw isHibernated(instance);
    await refuseOtherDisks(tx, known, instance);
    const isOn = instance.desired !== 'stopped' || instance.observed_state !== 'stopped';
    if (isOn && !restart) {
      throw conflict(
        `Instance ${instance.name} is ${instance.state}, and its guest would not know that its disks are others.`,
        `Stop it first, or have it stopped and started: virga snapshots revert ${known.name} --restart`,
        '/restart',
      );
    }
    const kept = keepCurrent ? await insertSnapshot(deps, tx, access, instance, { memory: false }) : undefined;
    const operationId = await startWorkflow(tx, access, revertSnapshotKind, resourceOf(known), {
      snapshotId: known.id,
      // Whatever names what is written from then on.
      token: newId('operation'),
      keptId: kept?.id ?? null,
      starts: isOn,
      paused: instance.desired === 'paused',
    });
    await appendEvent(tx, access, {
      type: 'snapshot.revert-requested',
      ...resourceOf(known),
      message: `Instance ${instance.name} is to be put back to snapshot ${known.name}.`,
      data: { instanceId: instance.id, kept: kept?.id ?? null },
    });
    return { snapshot: toSnapshot(known), operationId };
  });
}

async function refuseOtherDisks(tx: Tx, snapshot: SnapshotView, instance: InstanceRow): Promise<void> {
  const names = new Map<string, string>(instance.volumes.map(({ id, name }) => [id, name]));
  const now = new Set<string>([
    instance.root_disk_id,
    ...instance.volumes.filter(({ readOnly, detaching }) => !readOnly && !detaching).map(({ id }) => id),
  ]);
  const missing = snapshot.disks.filter(({ id }) => !now.delete(id)).map(({ id }) => id);
  const [other] = now;
  if (missing.length > 0) {
    const rows = await tx.selectFrom('volumes').select(['id', 'name']).where('id', 'in', missing).execute();
    const called = missing.map((id) => rows.find((row) => row.id === id)?.name ?? id);
    throw conflict(
      `Instance ${instance.name} no longer has ${called.join(', ')}, which snapshot ${snapshot.name} is of too.`,
      `Attach it again first: virga attach ${instance.name} ${called[0]}`,
    );
  }
  if (other === undefined) return;
  throw conflict(
    `Instance ${instance.name} has the volume ${names.get(other) ?? other}, which snapshot ${snapshot.name} is not of.`,
    `Detach it first: virga detach ${instance.name} ${names.get(other) ?? other}`,
  );
}

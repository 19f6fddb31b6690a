// What fronts call to read snapshots, and to take, protect and delete them. Workflows do the rest on the host.
import { VirgaError } from '@virga/contract/errors';
import { type InstanceId, newId, type OperationId, type ScheduleId, type SnapshotId } from '@virga/contract/ids';
import type { CreateSnapshot, Snapshot } from '@virga/contract/rest/snapshots';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { holdInstanceNamed } from '../instances/hold-instance-named.ts';
import type { InstanceRow } from '../instances/instance-store.ts';
import { refuseDisksMoving } from '../instances/root-disk-moves.ts';
import { openOperationsOf } from '../operations/operation-store.ts';
import { volumesMadeOf } from '../volumes/snapshot-origin.ts';
import {
  findSnapshot,
  holdSnapshot,
  resourceOf,
  type SnapshotRow,
  type SnapshotView,
  selectSnapshots,
  snapshotNotFound,
  toSnapshot,
} from './snapshot-store.ts';
import { conflict, requireSnapshotable } from './snapshot-subject.ts';

export const takeSnapshotKind = 'snapshot.create';
export const deleteSnapshotKind = 'snapshot.delete';

export type Changed = { snapshot: Snapshot; operationId: OperationId };

export async function listSnapshots(
  db: Db,
  access: ProjectAccess,
  { name, instanceId, ...page }: PageRequest & { name?: string | undefined; instanceId?: InstanceId | undefined },
): Promise<{ items: Snapshot[]; next?: string }> {
  let query = selectSnapshots(db)
    .where('snapshots.project_id', '=', access.projectId)
    .where('snapshots.purpose', '=', 'kept');
  if (name !== undefined) query = query.where('snapshots.name', '=', name);
  if (instanceId !== undefined) query = query.where('snapshots.instance_id', '=', instanceId);
  return fetchPage(query, 'snapshots', page, (row) => toSnapshot(row as SnapshotView));
}

/** @throws NotFound also for a snapshot of another project */
export async function getSnapshot(db: Db, access: ProjectAccess, id: SnapshotId): Promise<Snapshot> {
  const row = await findSnapshot(db, id);
  if (row?.project_id !== access.projectId || row.purpose !== 'kept') throw snapshotNotFound(id);
  return toSnapshot(row);
}

/**
 * Takes a snapshot. One that its host refuses is gone again, and the operation says why.
 * @throws NotFound | Conflict the instance can have none now | NameTaken | IdempotencyMismatch
 */
export async function createSnapshot(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  { instance: idOrName, name, memory = false, protected: isProtected = false }: CreateSnapshot,
  idempotency?: Idempotency,
): Promise<Changed> {
  try {
    return await onceOnly(deps.db, idempotency, async (tx) => {
      const instance = await holdInstanceNamed(tx, access, idOrName);
      requireSnapshotable(instance, { memory });
      const row = await insertSnapshot(deps, tx, access, instance, { name, memory, is_protected: isProtected });
      const operationId = await startWorkflow(tx, access, takeSnapshotKind, resourceOf(row), { snapshotId: row.id });
      return { snapshot: toSnapshot(row), operationId };
    });
  } catch (error) {
    if (brokenConstraint(error) === 'snapshots_name_taken') throw nameTaken(name ?? '');
    throw error;
  }
}

/** Writes down that one is to be taken, whoever wants it. @throws Conflict none can be put on a volume of the instance now */
export async function insertSnapshot(
  { clock }: Pick<Deps, 'clock'>,
  tx: Tx,
  access: ProjectAccess<'operator'>,
  instance: InstanceRow,
  given: Pick<SnapshotRow, 'memory'> & {
    name?: string | undefined;
    is_protected?: boolean;
    purpose?: SnapshotRow['purpose'];
    schedule_id?: ScheduleId;
  },
): Promise<SnapshotView> {
  await refuseDisksMoving(tx, instance);
  const id = newId('snapshot');
  const { name = given.purpose === 'clone' ? id : await freeName(tx, instance, clock.now()), ...columns } = given;
  await tx
    .insertInto('snapshots')
    .values({
      ...{ id, name, project_id: instance.project_id, instance_id: instance.id, host_id: instance.host_id },
      ...{ schedule_id: null, failure: null, consistency: null, taken_at: null },
      ...columns,
    })
    .execute();
  const row = (await findSnapshot(tx, id))!;
  if (row.is_protected) await notify(tx, 'keepsakes', row.host_id);
  if (row.purpose === 'kept') {
    await appendEvent(tx, access, {
      type: 'snapshot.create-requested',
      ...resourceOf(row),
      message: `Snapshot ${name} of instance ${instance.name} was asked for.`,
      data: { instanceId: instance.id, memory: row.memory },
    });
  }
  return row;
}

/** Such as web-20261126-175400, or web-20261126-175400-2 of the same second. A name has at most 63 letters. */
async function freeName(tx: Tx, instance: InstanceRow, now: Date): Promise<string> {
  const stamp = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  for (let number = 1; ; number++) {
    const end = number === 1 ? stamp : `${stamp}-${number}`;
    const name = `${instance.name.slice(0, 63 - end.length - 1)}-${end}`;
    const taken = await tx
      .selectFrom('snapshots')
      .select('id')
      .where('project_id', '=', instance.project_id)
      .where('name', '=', name)
      .executeTakeFirst();
    if (taken === undefined) return name;
  }
}

/** @throws NotFound */
export async function protectSnapshot(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: SnapshotId,
  isProtected: boolean,
): Promise<Snapshot> {
  return inTransaction(deps.db, async (tx) => {
    const row = await holdSnapshot(tx, access, id);
    if (row.is_protected !== isProtected) {
      await tx.updateTable('snapshots').set({ is_protected: isProtected }).where('id', '=', row.id).execute();
      await notify(tx, 'keepsakes', row.host_id);
      await appendEvent(tx, access, {
        type: isProtected ? 'snapshot.protected' : 'snapshot.unprotected',
        ...resourceOf(row),
        message: `Snapshot ${row.name} is ${isProtected ? 'protected' : 'no longer protected'}.`,
      });
    }
    return toSnapshot((await findSnapshot(tx, row.id))!);
  });
}

/**
 * Deletes a snapshot. Of one that clones rest on, or that volumes are being made of, only the name goes: the rest goes with
 * the last of them.
 * @throws NotFound | Conflict it is protected, or is still being taken
 */
export async function deleteSnapshot(deps: Deps, access: ProjectAccess<'operator'>, id: SnapshotId): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    const row = await holdSnapshot(tx, access, id);
    if (row.is_protected) {
      throw conflict(
        `Snapshot ${row.name} is protected.`,
        `Take the protection away first: virga snapshots protect ${row.name} --off`,
      );
    }
    const [open] = await openOperationsOf(tx, row.id);
    if (open && row.state === 'deleting') return { snapshot: toSnapshot(row), operationId: open };
    if (open) throw conflict(`Snapshot ${row.name} is in use just now.`, 'Wait until that has ended.');
    const operationId = await beginDeletion(tx, access, row);
    await appendEvent(tx, access, {
      type: 'snapshot.delete-requested',
      ...resourceOf(row),
      message: `Deletion of snapshot ${row.name} was asked for.`,
    });
    return { snapshot: toSnapshot({ ...row, state: 'deleting' }), operationId };
  });
}

/**
 * Cancels a deletion. Its operation ends as failed, and the snapshot is as it was; or as succeeded, where the merging had begun.
 * @throws NotFound | Conflict it is not being deleted
 */
export async function cancelSnapshotDeletion(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: SnapshotId,
): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    const row = await holdSnapshot(tx, access, id);
    const [operationId] = await openOperationsOf(tx, row.id);
    if (row.state !== 'deleting' || operationId === undefined) {
      throw conflict(`Snapshot ${row.name} is not being deleted.`, 'See what there is: virga snapshots list.');
    }
    if (!row.is_deletion_cancelled) {
      await tx.updateTable('snapshots').set({ is_deletion_cancelled: true }).where('id', '=', id).execute();
      await appendEvent(tx, access, {
        type: 'snapshot.delete-cancelled',
        ...resourceOf(row),
        message: `The deletion of snapshot ${row.name} was cancelled.`,
      });
      await notify(tx, 'snapshots', id);
    }
    return { snapshot: toSnapshot(row), operationId };
  });
}

/** The row must be held. @returns the operation that follows it */
export async function beginDeletion(
  tx: Tx,
  access: Parameters<typeof startWorkflow>[1],
  row: SnapshotView,
): Promise<OperationId> {
  await tx.selectFrom('snapshots').select('id').where('id', '=', row.id).forUpdate().execute();
  const isSpent = row.clones.length === 0 && (await volumesMadeOf(tx, { snapshotId: row.id })).length === 0;
  await tx
    .updateTable('snapshots')
    .set(
      isSpent
        ? { state: 'deleting', failure: null, is_deletion_cancelled: false }
        : { purpose: 'clone', name: row.id, schedule_id: null },
    )
    .where('id', '=', row.id)
    .execute();
  if (!isSpent) await notify(tx, 'keepsakes', row.host_id);
  return startWorkflow(tx, access, deleteSnapshotKind, resourceOf(row), { snapshotId: row.id });
}

const nameTaken = (name: string) =>
  new VirgaError('NameTaken', {
    detail: `A snapshot named ${name} exists.`,
    action: 'Choose another name, or delete that one.',
    field: '/name',
  });

// What fronts call to read volumes and to change what is desired of them. The volume reconciler does the rest.
import { VirgaError } from '@virga/contract/errors';
import type { OperationId, VolumeId } from '@virga/contract/ids';
import type { Volume } from '@virga/contract/rest/volumes';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import { createOperation, endOperation, openOperationsOf, overtakeOperations } from '../operations/operation-store.ts';
import { refuseInSnapshots } from './kept-in-snapshots.ts';
import { beingDeleted, isProtected, refuseChanged, refuseMoving } from './volume-refusals.ts';
import { requirePoolRoom } from './volume-room.ts';
import {
  deleteVolumeRow,
  findVolume,
  holdVolume,
  resourceOf,
  selectVolumes,
  toVolume,
  type VolumeView,
  volumeNotFound,
  wakeVolume,
} from './volume-store.ts';

type Changed = { volume: Volume; operationId: OperationId };

const bytesPerGib = 1024 ** 3;

export async function listVolumes(
  db: Db,
  access: ProjectAccess,
  { name, ...page }: PageRequest & { name?: string | undefined },
): Promise<{ items: Volume[]; next?: string }> {
  let query = selectVolumes(db).where('volumes.project_id', '=', access.projectId);
  if (name !== undefined) query = query.where('volumes.name', '=', name);
  return fetchPage(query, 'volumes', page, (row) => toVolume(row as VolumeView));
}

/** @throws NotFound also for a volume of another project */
export async function getVolume(db: Db, access: ProjectAccess, id: VolumeId): Promise<Volume> {
  const row = await findVolume(db, id);
  if (row?.project_id !== access.projectId) throw volumeNotFound(id);
  return toVolume(row);
}

/**
 * Grows a volume, also while a guest that runs has it. One that has that size already stays as it is.
 * @throws NotFound | InvalidArgument it would shrink | StorageFull | Conflict it is being deleted, or its instance is hibernated
 * @throws PreconditionFailed
 */
export async function resizeVolume(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: VolumeId,
  { sizeGib }: { sizeGib: number },
  ifMatch?: number,
): Promise<Changed> {
  const sizeBytes = sizeGib * bytesPerGib;
  return inTransaction(deps.db, async (tx) => {
    const row = await holdVolume(tx, access, id);
    refuseChanged(row, ifMatch);
    if (row.desired === 'deleted') throw beingDeleted(row);
    refuseMoving(row);
    if (sizeBytes < row.size_bytes) throw wouldShrink(row);
    await refuseHibernated(tx, row);
    const addBytes = sizeBytes - row.size_bytes;
    if (addBytes > 0) await requirePoolRoom(tx, row.pool_id, { addBytes, takenBytes: 0 }, '/sizeGib');
    const isThere = sizeBytes === row.size_bytes && row.converged_generation === row.generation;
    const generation = isThere ? row.generation : row.generation + 1;
    const now = deps.clock.now();
    if (!isThere) await overtakeOperations(tx, access, id, 'volume.resize', now);
    const operationId = await createOperation(tx, access, { kind: 'volume.resize', ...resourceOf(row), generation });
    if (isThere) {
      await endOperation(tx, access, operationId, {}, now);
      return { volume: toVolume(row), operationId };
    }
    await tx
      .updateTable('volumes')
      .set({ size_bytes: sizeBytes, generation, failure: null })
      .where('id', '=', id)
      .execute();
    await appendEvent(tx, access, {
      type: 'volume.resize-requested',
      ...resourceOf(row),
      message: `Growth of volume ${row.name} to ${sizeGib} GiB was asked for.`,
      data: { sizeBytes, before: row.size_bytes },
    });
    await wakeVolume(tx, id);
    return { volume: toVolume((await findVolume(tx, id))!), operationId };
  });
}

/**
 * @param wipe it is overwritten before it is removed
 * @throws NotFound | InUse an instance has it | Conflict it is protected | InvalidArgument its pool cannot do that |
 *   PreconditionFailed
 */
export async function deleteVolume(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: VolumeId,
  ifMatch?: number,
  { wipe = false }: { wipe?: boolean | undefined } = {},
): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    const row = await holdVolume(tx, access, id);
    refuseChanged(row, ifMatch);
    if (row.attachment !== null) {
      throw new VirgaError('InUse', {
        detail: `Instance ${row.attachment.instanceName} has the volume ${row.name}.`,
        action: `Detach it first: virga detach ${row.attachment.instanceName} ${row.name}`,
      });
    }
    if (row.desired !== 'deleted') refuseMoving(row);
    if (row.delete_protection && row.desired !== 'deleted') throw isProtected(row);
    await refuseInSnapshots(tx, row);
    const [open] = await openOperationsOf(tx, id);
    if (row.desired === 'deleted' && open) return { volume: toVolume(row), operationId: open };
    await overtakeOperations(tx, access, id, 'volume.delete', deps.clock.now());
    const operationId = await deleteVolumeRow(tx, access, row, { wipe });
    await appendEvent(tx, access, {
      type: 'volume.delete-requested',
      ...resourceOf(row),
      message: `Deletion of volume ${row.name} was asked for${wipe ? ', overwritten before' : ''}.`,
    });
    return { volume: toVolume((await findVolume(tx, id))!), operationId };
  });
}

/** Its saved memory knows the disk as it was. */
async function refuseHibernated(tx: Tx, row: VolumeView): Promise<void> {
  if (row.attachment === null) return;
  const { instanceId, instanceName } = row.attachment;
  const instance = await tx.selectFrom('instances').select('state').where('id', '=', instanceId).executeTakeFirst();
  if (instance?.state !== 'hibernated' && instance?.state !== 'hibernating') return;
  throw new VirgaError('Conflict', {
    detail: `Instance ${instanceName}, which has the volume ${row.name}, is ${instance.state}.`,
    action: `Wake it first: virga start ${instanceName}`,
  });
}

const wouldShrink = ({ name, size_bytes: sizeBytes }: VolumeView) =>
  new VirgaError('InvalidArgument', {
    detail: `Volume ${name} has ${sizeBytes / bytesPerGib} GiB, and a volume only grows.`,
    action: 'Create a smaller one, and copy the data in a guest.',
    field: '/sizeGib',
  });

// What fronts call to read volumes and to change what is desired of them. The volume reconciler does the rest.
import { VirgaError } from '@virga/contract/errors';
import { type HostId, type InstanceId, newId, type OperationId, type VolumeId } from '@virga/contract/ids';
import type { CreateVolume, Volume } from '@virga/contract/rest/volumes';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, type Db, inTransaction, type Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import { createOperation, endOperation, openOperationsOf, overtakeOperations } from '../operations/operation-store.ts';
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
 * Creates an empty volume. One that its host refuses is removed again, and the operation says why.
 * @throws NotFound | InvalidArgument | HostUnavailable | StorageFull no host for it | NameTaken | IdempotencyMismatch
 */
export async function createVolume(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  body: CreateVolume,
  idempotency?: Idempotency,
): Promise<Changed> {
  try {
    return await onceOnly(deps.db, idempotency, async (tx) => {
      const hostId = await chooseHost(tx, access, body);
      const id = newId('volume');
      const sizeBytes = body.sizeGib * bytesPerGib;
      const { name, scratch = false } = body;
      const row = { id, project_id: access.projectId, name, size_bytes: sizeBytes, scratch, host_id: hostId };
      await tx
        .insertInto('volumes')
        .values({ ...row, failure: null })
        .execute();
      const resource = resourceOf(row);
      const operationId = await createOperation(tx, access, { kind: 'volume.create', ...resource, generation: 1 });
      await appendEvent(tx, access, {
        type: 'volume.create-requested',
        ...resource,
        message: `Creation of volume ${body.name} with ${body.sizeGib} GiB was asked for.`,
        data: { sizeBytes, hostId, scratch },
      });
      await wakeVolume(tx, id);
      return { volume: toVolume((await findVolume(tx, id))!), operationId };
    });
  } catch (error) {
    if (brokenConstraint(error) !== 'volumes_name_taken') throw error;
    throw new VirgaError('NameTaken', {
      detail: `A volume named ${body.name} exists.`,
      action: 'Choose another name, or delete that one.',
      field: '/name',
    });
  }
}

/** Beside an instance, on a host that was named, or where most space is free. */
async function chooseHost(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  { host, instance }: CreateVolume,
): Promise<HostId> {
  if (host !== undefined && instance !== undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: 'A volume is put beside an instance or on a host, not both.',
      action: 'Leave out one of them.',
      field: '/host',
    });
  }
  let hosts = tx
    .selectFrom('hosts')
    .select(['id', 'name', 'state', 'state_reason', 'state_action', 'storage_headroom_bytes']);
  if (instance !== undefined) hosts = hosts.where('id', '=', await hostOfInstance(tx, access, instance));
  if (host !== undefined) {
    hosts = hosts
      .where((where) => where.or([where('id', '=', host as HostId), where('name', '=', host)]))
      .orderBy((by) => by('id', '=', host as HostId), 'desc');
  }
  const found = await hosts
    .orderBy((by) => by('state', '=', 'ready'), 'desc')
    .orderBy('storage_headroom_bytes', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (!found) {
    throw new VirgaError('NotFound', {
      detail: host === undefined ? 'The cloud has no host.' : `There is no host ${host}.`,
      action: 'List hosts with virga hosts list.',
      field: '/host',
    });
  }
  if (found.state !== 'ready') {
    throw new VirgaError('HostUnavailable', {
      detail: `Host ${found.name} is not ready: ${found.state_reason ?? 'it has not reported yet.'}`,
      action: found.state_action ?? 'Try again in a moment.',
    });
  }
  if (found.storage_headroom_bytes <= 0) {
    throw new VirgaError('StorageFull', {
      detail: `The storage of host ${found.name} has no space left above its reserve.`,
      action: 'Delete instances, volumes or images that are not needed, or add storage.',
    });
  }
  return found.id;
}

async function hostOfInstance(tx: Tx, access: ProjectAccess<'operator'>, idOrName: string): Promise<HostId> {
  const row = await tx
    .selectFrom('instances')
    .select('host_id')
    .where('project_id', '=', access.projectId)
    .where((where) => where.or([where('id', '=', idOrName as InstanceId), where('name', '=', idOrName)]))
    .orderBy((by) => by('id', '=', idOrName as InstanceId), 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row) return row.host_id;
  throw new VirgaError('NotFound', {
    detail: `There is no instance ${idOrName}.`,
    action: 'List instances with virga list.',
    field: '/instance',
  });
}

/**
 * Grows a volume, also while a guest that runs has it. One that has that size already stays as it is.
 * @throws NotFound | InvalidArgument it would shrink | Conflict it is being deleted, or its instance is hibernated
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
    if (sizeBytes < row.size_bytes) throw wouldShrink(row);
    await refuseHibernated(tx, row);
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

/** @throws NotFound | InUse an instance has it | PreconditionFailed */
export async function deleteVolume(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: VolumeId,
  ifMatch?: number,
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
    const [open] = await openOperationsOf(tx, id);
    if (row.desired === 'deleted' && open) return { volume: toVolume(row), operationId: open };
    await overtakeOperations(tx, access, id, 'volume.delete', deps.clock.now());
    const operationId = await deleteVolumeRow(tx, access, row);
    await appendEvent(tx, access, {
      type: 'volume.delete-requested',
      ...resourceOf(row),
      message: `Deletion of volume ${row.name} was asked for.`,
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

function refuseChanged(row: VolumeView, ifMatch: number | undefined): void {
  if (ifMatch === undefined || ifMatch === row.generation) return;
  throw new VirgaError('PreconditionFailed', {
    detail: `Volume ${row.name} has changed since it was read: it is at generation ${row.generation}.`,
    action: 'Read it again, and repeat the request if it still makes sense.',
  });
}

const beingDeleted = ({ name }: VolumeView) =>
  new VirgaError('Conflict', { detail: `Volume ${name} is being deleted.`, action: 'Create another one.' });

const wouldShrink = ({ name, size_bytes: sizeBytes }: VolumeView) =>
  new VirgaError('InvalidArgument', {
    detail: `Volume ${name} has ${sizeBytes / bytesPerGib} GiB, and a volume only grows.`,
    action: 'Create a smaller one, and copy the data in a guest.',
    field: '/sizeGib',
  });

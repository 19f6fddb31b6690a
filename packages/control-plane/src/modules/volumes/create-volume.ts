// Writes a new volume down, in one transaction: what it is made as, where it is to lie, that there is room. No host is talked
// to. What can be known to be impossible is refused here, and then nothing of it exists.
import type { DiskLimits } from '@virga/contract/agent/desired';
import type { Preallocation, VolumeFormat } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import { newId, type OperationId } from '@virga/contract/ids';
import type { VolumeType } from '@virga/contract/rest/volume-types';
import type { CreateVolume, Volume } from '@virga/contract/rest/volumes';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, type Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { resolveImage } from '../images/image-store.ts';
import { createOperation } from '../operations/operation-store.ts';
import { holdSnapshotDisk } from './snapshot-origin.ts';
import { newPassphrase } from './volume-keys.ts';
import { placeVolume } from './volume-place.ts';
import { requirePoolRoom } from './volume-room.ts';
import { refuseImpossibleShape } from './volume-shape.ts';
import { findVolume, resourceOf, toVolume, wakeVolume } from './volume-store.ts';
import { resolveVolumeType } from './volume-type-operations.ts';

type Changed = { volume: Volume; operationId: OperationId };

const bytesPerGib = 1024 ** 3;

/**
 * Creates a volume, empty or with the content of an image or of a disk of a snapshot. One that its host refuses is removed again, and the operation
 * says why.
 * @throws NotFound | Conflict | InvalidArgument | HostUnavailable | PoolUnusable | StorageFull no place for it | NameTaken
 * @throws IdempotencyMismatch
 */
export async function createVolume(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  body: CreateVolume,
  idempotency?: Idempotency,
): Promise<Changed> {
  try {
    return await onceOnly(deps.db, idempotency, (tx) => insertVolume(deps, tx, access, body));
  } catch (error) {
    if (brokenConstraint(error) === 'volumes_name_taken') throw volumeNameTaken(body.name);
    throw error;
  }
}

async function insertVolume(
  deps: Deps,
  tx: Tx,
  access: ProjectAccess<'operator'>,
  body: CreateVolume,
): Promise<Changed> {
  const type = body.type === undefined ? undefined : await resolveVolumeType(tx, body.type);
  const image = body.image === undefined ? undefined : await resolveImage(tx, access, body.image);
  if (body.clone !== undefined && !image) throw nothingToClone();
  const kept = await holdSnapshotDisk(tx, access, body);
  if (image && kept) throw twoOrigins();
  const clone = image && (body.clone ?? 'full');
  const asked = shapeOf(body, type);
  // A copy of what is encrypted is, unless whoever asks for it says otherwise.
  if (kept?.encrypted && body.encrypted === undefined) asked.encrypted = true;
  const { hostId, pool } = await placeVolume(tx, access, { ...body, typePool: type?.pool, origin: kept });
  refuseImpossibleShape({ ...asked, clone, driver: pool.driver });
  const origin =
    image !== undefined
      ? { what: `image ${image.name}`, bytes: image.virtual_size_bytes ?? 0 }
      : kept && { what: `the disk of snapshot ${kept.name}`, bytes: kept.sizeBytes };
  const sizeBytes = sizeOf(body, origin);
  const { preallocation = 'off', encrypted, limits } = asked;
  const format = asked.format ?? (pool.driver === 'rbd' ? 'raw' : 'qcow2');
  const takesAll = preallocation === 'falloc' || preallocation === 'full';
  await requirePoolRoom(tx, pool.id, { addBytes: sizeBytes, takenBytes: takesAll ? sizeBytes : 0 }, '/sizeGib');
  const id = newId('volume');
  const { name, scratch = false, deletionProtection = false } = body;
  const row = { id, project_id: access.projectId, name, size_bytes: sizeBytes, scratch, host_id: hostId };
  await tx
    .insertInto('volumes')
    .values({
      ...row,
      pool_id: pool.id,
      type: type?.name ?? null,
      format,
      preallocation,
      image_id: image?.id ?? null,
      clone: clone ?? null,
      snapshot: kept ? JSON.stringify(kept.disk) : null,
      passphrase_sealed: encrypted ? newPassphrase(deps.seal, id) : null,
      limits: limits ? JSON.stringify(limits) : null,
      delete_protection: deletionProtection,
      failure: null,
    })
    .execute();
  const resource = resourceOf(row);
  const operationId = await createOperation(tx, access, { kind: 'volume.create', ...resource, generation: 1 });
  await appendEvent(tx, access, {
    type: 'volume.create-requested',
    ...resource,
    message: `Creation of volume ${name} with ${sizeBytes / bytesPerGib} GiB was asked for.`,
    data: {
      sizeBytes,
      hostId,
      scratch,
      poolId: pool.id,
      ...(image && { imageId: image.id }),
      ...(kept && { snapshot: kept.disk }),
    },
  });
  await wakeVolume(tx, id);
  return { volume: toVolume((await findVolume(tx, id))!), operationId };
}

/** What is asked for comes before what the type has. */
function shapeOf(
  body: CreateVolume,
  type: VolumeType | undefined,
): { format?: VolumeFormat; preallocation?: Preallocation; encrypted?: boolean; limits?: DiskLimits } {
  const { format, preallocation, encrypted } = body;
  const { name: _, pool: __, ...ofType } = type ?? { name: '' };
  return {
    ...ofType,
    ...(format !== undefined && { format }),
    ...(preallocation !== undefined && { preallocation }),
    ...(encrypted !== undefined && { encrypted }),
  };
}

type Origin = { what: string; bytes: number };

/** @throws InvalidArgument the content does not fit, or there is nothing to take the size from */
function sizeOf({ sizeGib }: CreateVolume, origin: Origin | undefined): number {
  const bytes = origin?.bytes ?? 0;
  if (sizeGib === undefined && bytes === 0) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The size of the volume was not given.',
      action: 'Give its size in GiB; only a copy of an image or of a snapshot has one of its own.',
      field: '/sizeGib',
    });
  }
  if (sizeGib === undefined) return bytes;
  if (sizeGib * bytesPerGib >= bytes) return sizeGib * bytesPerGib;
  throw new VirgaError('InvalidArgument', {
    detail: `A volume of ${sizeGib} GiB is too small for ${origin?.what}, which has ${bytes} bytes.`,
    action: `Ask for at least ${Math.ceil(bytes / bytesPerGib)} GiB.`,
    field: '/sizeGib',
  });
}

export const volumeNameTaken = (name: string): VirgaError =>
  new VirgaError('NameTaken', {
    detail: `A volume named ${name} exists.`,
    action: 'Choose another name, or delete that one.',
    field: '/name',
  });

const nothingToClone = () =>
  new VirgaError('InvalidArgument', {
    detail: 'There is no image to clone.',
    action: 'Name the image, or leave out how it is to be cloned.',
    field: '/clone',
  });

const twoOrigins = () =>
  new VirgaError('InvalidArgument', {
    detail: 'A volume begins as a copy of an image or of a snapshot, not of both.',
    action: 'Leave out one of them.',
    field: '/snapshot',
  });

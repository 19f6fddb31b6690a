// What fronts call to keep guests of an image for copies, and to stop that. Each is one transaction; the reconciler of each
// host does the rest.
import { VirgaError } from '@virga/contract/errors';
import { type ImageId, newId } from '@virga/contract/ids';
import type { WarmImage } from '@virga/contract/rest/warm-images';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { resolveInstanceType } from '../hosts/instance-type-operations.ts';
import { type ImageRow, imageNotFound } from '../images/image-store.ts';
import { selectWarmImages, toWarmImage } from './template-store.ts';

type Listed = { items: WarmImage[] };

const usualType = 'small';
const usualPool = 1;
const bytesPerGib = 1024 ** 3;

export async function listWarmImages(db: Db | Tx, _access: CloudAccess<'viewer'>): Promise<Listed> {
  const rows = await selectWarmImages(db).orderBy('image_templates.created_at').orderBy('image_templates.id').execute();
  return { items: rows.map(toWarmImage) };
}

/**
 * Keeps a guest of the image on every host, for launches of the type. Of one that is kept already only the pool changes.
 * @throws NotFound image or type | Conflict the image cannot be used, or its guests cannot be copied | InvalidArgument
 */
export async function warmImage(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: ImageId,
  { type: typeName = usualType, pool = usualPool }: { type?: string | undefined; pool?: number | undefined },
): Promise<Listed> {
  return inTransaction(deps.db, async (tx) => {
    const image = await holdImage(tx, id);
    if (image.state !== 'available') throw notAvailable(image);
    if (!image.warmable) throw notWarmable(image);
    const type = await resolveInstanceType(tx, typeName);
    if (type.memoryMib < image.minimum_memory_mib) throw tooSmall(image, type);
    const hosts = await tx.selectFrom('hosts').select('id').orderBy('id').execute();
    for (const host of hosts) {
      await tx
        .insertInto('image_templates')
        .values({
          id: newId('template'),
          image_id: id,
          host_id: host.id,
          type: type.name,
          vcpus: type.vcpus,
          memory_mib: type.memoryMib,
          disk_bytes: Math.max(type.diskGib * bytesPerGib, image.virtual_size_bytes ?? 0),
          pool,
          failure: null,
          retry_at: null,
        })
        .onConflict((conflict) =>
          conflict
            .columns(['image_id', 'type', 'host_id'])
            .where('desired', '=', 'kept')
            .doUpdateSet({ pool, retry_at: null }),
        )
        .execute();
      await notify(tx, 'templates', host.id);
    }
    await appendEvent(tx, access, {
      ...about(image, 'image.warm-requested'),
      message: `A guest of image ${image.name} is to be kept for launches of type ${type.name}, with ${pool} copies waiting.`,
      data: { type: type.name, pool },
    });
    return listOf(tx, id);
  });
}

/** Copies guests of the image no more. @throws NotFound */
export async function coolImage(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: ImageId,
  { type }: { type?: string | undefined },
): Promise<Listed> {
  return inTransaction(deps.db, async (tx) => {
    const image = await holdImage(tx, id);
    let kept = tx.updateTable('image_templates').set({ desired: 'dropped', pool: 0 }).where('image_id', '=', id);
    if (type !== undefined) kept = kept.where('type', '=', type);
    const dropped = await kept.where('desired', '=', 'kept').returning('host_id').execute();
    for (const { host_id } of dropped) await notify(tx, 'templates', host_id);
    if (dropped.length > 0) {
      await appendEvent(tx, access, {
        ...about(image, 'image.cool-requested'),
        message: `Guests of image ${image.name} are to be copied no more.`,
        data: { type: type ?? null },
      });
    }
    return listOf(tx, id);
  });
}

async function listOf(tx: Tx, id: ImageId): Promise<Listed> {
  const rows = await selectWarmImages(tx)
    .where('image_templates.image_id', '=', id)
    .orderBy('image_templates.created_at')
    .orderBy('image_templates.id')
    .execute();
  return { items: rows.map(toWarmImage) };
}

/** Nobody deletes it until the transaction ends. */
async function holdImage(tx: Tx, id: ImageId): Promise<ImageRow> {
  const image = await tx.selectFrom('images').selectAll().where('id', '=', id).forShare().executeTakeFirst();
  if (!image) throw imageNotFound(id);
  return image;
}

const about = (image: ImageRow, type: string) => ({
  type,
  projectId: image.project_id,
  resourceId: image.id,
  resourceName: image.name,
});

const notAvailable = ({ name, state }: ImageRow) =>
  new VirgaError('Conflict', {
    detail: `Image ${name} cannot be used: it is ${state === 'pending' ? 'still being imported' : state}.`,
    action: state === 'pending' ? 'Wait until its import has ended.' : 'Choose another image.',
  });

const notWarmable = ({ name }: ImageRow) =>
  new VirgaError('Conflict', {
    detail: `Image ${name} does not declare that its guests can be copied while they run.`,
    action: 'If it has /usr/libexec/virga/fork-identity, register it anew with --warmable.',
  });

const tooSmall = (image: ImageRow, type: { name: string; memoryMib: number }) =>
  new VirgaError('InvalidArgument', {
    detail: `Image ${image.name} needs ${image.minimum_memory_mib} MiB of memory; type ${type.name} has ${type.memoryMib} MiB.`,
    action: 'Choose a larger type: virga types list.',
    field: '/type',
  });

// What fronts call to read, register and delete images. The work on hosts is done by workflows.
import { VirgaError } from '@virga/contract/errors';
import { type ImageId, newId, type OperationId } from '@virga/contract/ids';
import type { Image, ImageKind } from '@virga/contract/rest/images';
import type { CloudAccess, ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { openOperationsOf } from '../operations/operation-store.ts';
import { deleteImageKind } from './delete-image.workflow.ts';
import { about, type ImageRow, imageNotFound, named, resourceOf, toImage, visibleImages } from './image-store.ts';
import { importImageKind } from './import-image.workflow.ts';
import { usualUser } from './new-import.ts';

type Changed = { image: Image; operationId: OperationId };
type NewImage = {
  name: string;
  path: string;
  kind?: ImageKind | undefined;
  format: 'qcow2' | 'raw';
  visibility?: 'private' | 'public' | undefined;
  defaultUser?: string | undefined;
  minimumMemoryMib?: number | undefined;
  warmable?: boolean | undefined;
};

const onlyGeneration = 1;

export async function listImages(
  db: Db,
  access: ProjectAccess,
  { name, ...page }: PageRequest & { name?: string | undefined },
): Promise<{ items: Image[]; next?: string }> {
  let query = visibleImages(db, access);
  if (name !== undefined) query = query.where('name', '=', name);
  return fetchPage(query, 'images', page, toImage);
}

/** @throws NotFound */
export async function getImage(db: Db, access: ProjectAccess, id: ImageId): Promise<Image> {
  const row = await visibleImages(db, access).where('id', '=', id).executeTakeFirst();
  if (!row) throw imageNotFound(id);
  return toImage(row);
}

/**
 * Registers an image from a file on the host, which is copied. Its operation fails, and the image is gone again, when the
 * file cannot be used.
 * @throws NameTaken | InvalidArgument the request names no project | IdempotencyMismatch
 */
export async function registerImage(
  deps: Deps,
  access: CloudAccess<'admin'>,
  body: NewImage,
  idempotency?: Idempotency,
): Promise<Changed> {
  const { projectId } = access;
  const kind = body.kind ?? 'disk';
  if (kind === 'iso' && body.format !== 'raw') {
    throw new VirgaError('InvalidArgument', {
      detail: 'An ISO image is raw: a drive reads it as it is.',
      action: 'State its format as raw.',
      field: '/format',
    });
  }
  if (projectId === null) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The request names no project to register the image in.',
      action: 'Name one with --project or the header virga-project.',
    });
  }
  return named(body.name, () =>
    onceOnly(deps.db, idempotency, async (tx) => {
      const row = await tx
        .insertInto('images')
        .values({
          id: newId('image'),
          project_id: projectId,
          name: body.name,
          visibility: body.visibility ?? 'private',
          state: 'pending',
          state_reason: null,
          kind,
          format: body.format,
          virtual_size_bytes: null,
          file_size_bytes: null,
          sha256: null,
          default_user: body.defaultUser ?? usualUser,
          minimum_memory_mib: body.minimumMemoryMib ?? 0,
          warmable: body.warmable ?? false,
          source: JSON.stringify({ kind: 'file', path: body.path }),
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      await appendEvent(tx, access, {
        ...about(row, 'image.import-requested'),
        message: `Import of image ${row.name} from ${body.path} was asked for.`,
        data: { path: body.path, kind, format: body.format },
      });
      const operationId = await startWorkflow(tx, access, importImageKind, resourceOf(row), { imageId: row.id });
      return { image: toImage(row), operationId };
    }),
  );
}

/**
 * Deletes an image of the project. From now on nothing can be launched from it.
 * @throws NotFound | InUse instances are cloned from it or have it in their drive | Conflict it is still being imported | PreconditionFailed
 */
export async function deleteImage(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: ImageId,
  ifMatch?: number,
): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    const row = await tx.selectFrom('images').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
    if (row?.project_id !== access.projectId) throw imageNotFound(id);
    if (ifMatch !== undefined && ifMatch !== onlyGeneration) {
      throw new VirgaError('PreconditionFailed', {
        detail: `An image never changes: it is always at generation ${onlyGeneration}.`,
        action: 'Leave out the condition.',
      });
    }
    const [open] = await openOperationsOf(tx, id);
    if (row.state === 'deleting' && open) return { image: toImage(row), operationId: open };
    if (row.state === 'pending') {
      throw new VirgaError('Conflict', {
        detail: `Image ${row.name} is still being imported.`,
        action: 'Wait until its import has ended, or cancel it: virga images cancel-import.',
      });
    }
    await refuseWhileUsed(tx, row);
    const deleting = await tx
      .updateTable('images')
      .set({ state: 'deleting', state_reason: null })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await appendEvent(tx, access, {
      ...about(row, 'image.delete-requested'),
      message: `Deletion of image ${row.name} was asked for.`,
    });
    const operationId = await startWorkflow(tx, access, deleteImageKind, resourceOf(row), { imageId: id });
    return { image: toImage(deleting), operationId };
  });
}

async function refuseWhileUsed(tx: Tx, row: ImageRow): Promise<void> {
  const template = await tx
    .selectFrom('image_templates')
    .select('desired')
    .where('image_id', '=', row.id)
    .orderBy('desired', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (template) {
    throw new VirgaError('InUse', {
      detail: `A running guest of image ${row.name} is ${template.desired === 'kept' ? '' : 'still '}kept for instant launches.`,
      action:
        template.desired === 'kept'
          ? `Drop it first: virga images cool ${row.name}.`
          : 'Delete the instances that began as its copies, and try again in a moment.',
    });
  }
  const clone = await tx
    .selectFrom('volumes')
    .select(['name', 'project_id'])
    .where('image_id', '=', row.id)
    .where('clone', '=', 'linked')
    .orderBy((by) => by('project_id', '=', row.project_id), 'desc')
    .limit(1)
    .executeTakeFirst();
  if (clone?.project_id === row.project_id) {
    throw new VirgaError('InUse', {
      detail: `Volume ${clone.name} is a linked clone of image ${row.name}, and rests on it.`,
      action: `Delete it first: virga volumes delete ${clone.name}. A full clone would not need the image.`,
    });
  }
  if (clone) throw usedElsewhere(row, 'A volume');
  const drive = await tx
    .selectFrom('instances')
    .select(['name', 'project_id'])
    .where('cdrom_image_id', '=', row.id)
    .orderBy((by) => by('project_id', '=', row.project_id), 'desc')
    .limit(1)
    .executeTakeFirst();
  if (drive && drive.project_id !== row.project_id) throw usedElsewhere(row, 'The CD-ROM drive of an instance');
  if (drive) {
    throw new VirgaError('InUse', {
      detail: `Image ${row.name} is in the CD-ROM drive of ${drive.name}.`,
      action: `Eject it first: virga cdrom eject ${drive.name}.`,
    });
  }
  const { count } = await tx
    .selectFrom('instances')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('image_id', '=', row.id)
    .executeTakeFirstOrThrow();
  if (count === 0) return refuseWhileReleased(tx, row);
  throw new VirgaError('InUse', {
    detail: `Image ${row.name} has ${count} ${count === 1 ? 'instance' : 'instances'} cloned from it.`,
    action: 'Delete them first.',
  });
}

/** Of a public image: what others call what they have is theirs. */
const usedElsewhere = ({ name }: ImageRow, what: string) =>
  new VirgaError('InUse', {
    detail: `${what} of another project needs image ${name}.`,
    action: `Make it private, so that no more of them do: virga images share ${name} --stop. Delete it when they are gone.`,
  });

async function refuseWhileReleased(tx: Tx, row: ImageRow): Promise<void> {
  const released = await tx
    .selectFrom('released_instances')
    .select('domain_name')
    .where('image_id', '=', row.id)
    .limit(1)
    .executeTakeFirst();
  if (!released) return;
  throw new VirgaError('InUse', {
    detail: `The disk of ${released.domain_name}, which was released, rests on image ${row.name}.`,
    action: 'Undefine that domain with virsh and remove its files, or adopt it and delete it.',
  });
}

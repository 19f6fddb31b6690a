// Rows of images: finding them as a project may see them. Public images are seen by every project.
import { VirgaError } from '@virga/contract/errors';
import type { ImageId } from '@virga/contract/ids';
import type { Image, ImageOrigin } from '@virga/contract/rest/images';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import { brokenConstraint, type Db, type Tx } from '../../store/database.ts';
import { hasId, hasIdOrName } from '../../store/named.ts';
import type { Database } from '../../store/schema.ts';

export type ImageRow = Selectable<Database['images']>;

/** Images that the project sees: its own and the public ones. */
export const visibleImages = (db: Db | Tx, access: ProjectAccess) =>
  db
    .selectFrom('images')
    .selectAll('images')
    .where((where) => where.or([where('project_id', '=', access.projectId), where('visibility', '=', 'public')]));

/**
 * The image to launch from or to insert, by id or name; of one name the project's own comes first. Holds the row until
 * the transaction ends, so that nobody deletes the image meanwhile.
 * @throws NotFound | Conflict it is not available | InvalidArgument it is of another kind
 */
export async function resolveImage(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  idOrName: string,
  { kind = 'disk', field = '/image' }: { kind?: ImageRow['kind']; field?: string } = {},
): Promise<ImageRow> {
  const row = await visibleImages(tx, access)
    .where(hasIdOrName(idOrName))
    .orderBy(hasId(idOrName), 'desc')
    .orderBy((by) => by('project_id', '=', access.projectId), 'desc')
    .orderBy('created_at')
    .limit(1)
    .forShare()
    .executeTakeFirst();
  if (!row) {
    throw new VirgaError('NotFound', {
      detail: `There is no image ${idOrName}.`,
      action: 'List images with virga images list.',
      field,
    });
  }
  if (row.kind !== kind) throw ofAnotherKind(row, field);
  if (row.state === 'available') return row;
  throw new VirgaError('Conflict', {
    detail: `Image ${row.name} cannot be used: it is ${row.state === 'pending' ? 'still being imported' : row.state}.`,
    action: row.state === 'pending' ? 'Wait until its import has ended.' : 'Choose another image.',
    field,
  });
}

function ofAnotherKind({ name, kind }: ImageRow, field: string): VirgaError {
  return kind === 'iso'
    ? new VirgaError('InvalidArgument', {
        detail: `Image ${name} is a CD-ROM, which no disk can be cloned from.`,
        action: `Install from it: virga launch --iso ${name}.`,
        field,
      })
    : new VirgaError('InvalidArgument', {
        detail: `Image ${name} is a disk and fits into no CD-ROM drive.`,
        action: `Launch from it: virga launch --image ${name}. An ISO image is registered with --kind iso.`,
        field,
      });
}

export function imageNotFound(id: ImageId): VirgaError {
  return new VirgaError('NotFound', {
    detail: `There is no image ${id}.`,
    action: 'List images with virga images list.',
  });
}

export function toImage(row: ImageRow): Image {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    visibility: row.visibility,
    state: row.state,
    stateReason: row.state_reason,
    kind: row.kind,
    format: row.format,
    virtualSizeBytes: row.virtual_size_bytes,
    fileSizeBytes: row.file_size_bytes,
    sha256: row.sha256,
    defaultUser: row.default_user,
    minimumMemoryMib: row.minimum_memory_mib,
    warmable: row.warmable,
    origin: originOf(row),
    createdAt: row.created_at.toISOString(),
  };
}

function originOf({ source, verification }: ImageRow): ImageOrigin | null {
  if (source.kind === 'file') return null;
  return { url: source.kind === 'download' ? source.url : null, verification };
}

/** Inserts an image of that name. @throws NameTaken */
export async function named<T>(name: string, insert: () => Promise<T>): Promise<T> {
  try {
    return await insert();
  } catch (error) {
    if (brokenConstraint(error) !== 'images_name_taken') throw error;
    throw new VirgaError('NameTaken', {
      detail: `An image named ${name} exists.`,
      action: 'Choose another name, or delete that one.',
      field: '/name',
    });
  }
}

export const resourceOf = (row: ImageRow) => ({
  projectId: row.project_id,
  resourceId: row.id,
  resourceName: row.name,
});
export const about = (row: ImageRow, type: string) => ({ type, ...resourceOf(row) });

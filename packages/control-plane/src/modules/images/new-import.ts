// What imports of every kind begin with: a row, its event, the host where the bytes come together, and who may share images.
import { VirgaError } from '@virga/contract/errors';
import { type HostId, type ImageId, newId, type OperationId } from '@virga/contract/ids';
import type { ImportImage } from '@virga/contract/rest/image-import';
import type { ImageKind } from '@virga/contract/rest/images';
import type { ProjectAccess } from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import type { StoredImageSource } from '../../store/image-tables.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { about, type ImageRow, imageNotFound, resourceOf } from './image-store.ts';
import { importImageKind } from './import-image.workflow.ts';

export type Operator = ProjectAccess<'operator'>;
export type NewImport = {
  name: string;
  kind: ImageKind;
  visibility: 'private' | 'public';
  defaultUser: string;
  minimumMemoryMib: number;
  source: StoredImageSource;
};

export const usualUser = 'root';

type Described = Pick<ImportImage, 'kind' | 'visibility' | 'defaultUser' | 'minimumMemoryMib'>;

/** @throws Forbidden */
export function described(access: Operator, body: Described, user: string): Omit<NewImport, 'name' | 'source'> {
  const { kind = 'disk', visibility = 'private', defaultUser = user, minimumMemoryMib = 0 } = body;
  requireMayShare(access, visibility);
  return { kind, visibility, defaultUser, minimumMemoryMib };
}

/** @throws Forbidden only an administrator of the cloud makes an image everybody's */
export function requireMayShare({ cloudRole }: Operator, visibility: 'private' | 'public'): void {
  if (visibility === 'private' || cloudRole === 'admin') return;
  throw new VirgaError('Forbidden', {
    detail: 'An image for every project needs the cloud role admin.',
    action: 'Keep it private, or ask an administrator of the cloud.',
    field: '/visibility',
  });
}

export async function insertImport(tx: Tx, access: Operator, wanted: NewImport): Promise<ImageRow> {
  const row = await tx
    .insertInto('images')
    .values({
      id: newId('image'),
      ...{ project_id: access.projectId, name: wanted.name, visibility: wanted.visibility },
      ...{ state: 'pending', state_reason: null, kind: wanted.kind },
      format: wanted.kind === 'iso' ? 'raw' : 'qcow2',
      ...{ virtual_size_bytes: null, file_size_bytes: null, sha256: null },
      ...{ default_user: wanted.defaultUser, minimum_memory_mib: wanted.minimumMemoryMib, warmable: false },
      source: JSON.stringify(wanted.source),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  const { source } = wanted;
  const from = source.kind === 'download' ? source.url : 'what is sent';
  await appendEvent(tx, access, {
    ...about(row, 'image.import-requested'),
    message: `Import of image ${row.name} from ${from} was asked for.`,
    data: { source: source.kind, ...(source.kind === 'download' && { url: source.url }), kind: row.kind },
  });
  return row;
}

export const startImport = (tx: Tx, access: Operator, row: ImageRow): Promise<OperationId> =>
  startWorkflow(tx, access, importImageKind, resourceOf(row), { imageId: row.id });

/** Where there is most room. */
export async function chooseHost(tx: Tx): Promise<HostId> {
  const host = await tx
    .selectFrom('hosts')
    .select('id')
    .orderBy((by) => by('state', '=', 'ready'), 'desc')
    .orderBy('storage_headroom_bytes', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (host) return host.id;
  throw new VirgaError('HostUnavailable', { detail: 'The cloud has no host.', action: 'Add one.' });
}

/** The image of the project, held until the transaction ends. @throws NotFound */
export async function requireOwn(tx: Tx, access: Operator, id: ImageId): Promise<ImageRow> {
  const row = await tx.selectFrom('images').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
  if (row?.project_id !== access.projectId) throw imageNotFound(id);
  return row;
}

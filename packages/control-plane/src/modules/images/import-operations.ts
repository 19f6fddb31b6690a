// What fronts call to bring images in from elsewhere: by an address, from the catalog, or sent by the caller. The bytes never
// come together here: a host fetches them, or is handed the stream.
import type { Readable } from 'node:stream';
import type { StatedFormat } from '@virga/contract/agent/image-source';
import { VirgaError } from '@virga/contract/errors';
import { type HostId, type ImageId, newId, type OperationId } from '@virga/contract/ids';
import type {
  Architecture,
  CatalogImage,
  ImageUpload,
  ImportImage,
  UploadImage,
} from '@virga/contract/rest/image-import';
import type { Image, ImageKind } from '@virga/contract/rest/images';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, inTransaction, type Tx } from '../../store/database.ts';
import type { StoredImageSource } from '../../store/image-tables.ts';
import { notify } from '../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { findInCatalog, readCatalog } from './catalog/catalog.ts';
import { deleteImageKind } from './delete-image.workflow.ts';
import { type ImageRow, imageNotFound, toImage } from './image-store.ts';
import { importImageKind } from './import-image.workflow.ts';
import { shareImageKind } from './share-image.workflow.ts';

type Changed = { image: Image; operationId: OperationId };
type Operator = ProjectAccess<'operator'>;
type NewImport = {
  name: string;
  kind: ImageKind;
  visibility: 'private' | 'public';
  defaultUser: string;
  minimumMemoryMib: number;
  source: StoredImageSource;
};

const usualUser = 'root';

export async function listCatalog({ settings }: Deps, _access: ProjectAccess): Promise<{ items: CatalogImage[] }> {
  return { items: await readCatalog(settings) };
}

/**
 * Its operation fails, and the image is gone again, when it cannot be fetched or used.
 * @throws NameTaken | NotFound the catalog has no such image | Forbidden | InvalidArgument | IdempotencyMismatch
 */
export async function importImage(
  deps: Deps,
  access: Operator,
  body: ImportImage,
  idempotency?: Idempotency,
): Promise<Changed> {
  const wanted = await wantedImport(deps, access, body);
  return named(wanted.name, () =>
    onceOnly(deps.db, idempotency, async (tx) => {
      const row = await insertImport(tx, access, wanted);
      const operationId = await startImport(tx, access, row);
      await tx
        .insertInto('image_imports')
        .values({
          ...{ image_id: row.id, host_id: await chooseHost(tx), size_bytes: null },
          ...{ operation_id: operationId, touched_at: deps.clock.now() },
        })
        .execute();
      return { image: toImage(row), operationId };
    }),
  );
}

/** @throws NameTaken | Forbidden | PayloadTooLarge | IdempotencyMismatch */
export async function uploadImage(
  deps: Deps,
  access: Operator,
  body: UploadImage,
  idempotency?: Idempotency,
): Promise<Image> {
  const { sizeBytes, checksum, format = 'detect' } = body;
  const { imageMaximumFileBytes: most } = deps.settings;
  if (sizeBytes > most) {
    throw new VirgaError('PayloadTooLarge', {
      detail: `The image has ${sizeBytes} bytes, and the cloud takes at most ${most}.`,
      action: 'Ask an administrator of the cloud to take larger ones.',
      field: '/sizeBytes',
    });
  }
  const source = { kind: 'upload' as const, sizeBytes, format, ...(checksum && { checksum }) };
  const wanted = { ...described(access, body, usualUser), name: body.name, source };
  return named(body.name, () =>
    onceOnly(deps.db, idempotency, async (tx) => {
      const row = await insertImport(tx, access, wanted);
      await tx
        .insertInto('image_imports')
        .values({
          ...{ image_id: row.id, host_id: await chooseHost(tx), size_bytes: sizeBytes },
          ...{ operation_id: null, touched_at: deps.clock.now() },
        })
        .execute();
      return toImage(row);
    }),
  );
}

/** @throws NotFound | HostUnavailable */
export async function getImageUpload(deps: Deps, access: Operator, id: ImageId): Promise<ImageUpload> {
  const { hostId, sizeBytes, operationId } = await findUpload(deps, access, id);
  if (operationId !== null) return { imageId: id, receivedBytes: sizeBytes, sizeBytes, operationId };
  const receivedBytes = await deps.agents.agentOf(hostId).receivedBytes({ id, cloudId: deps.cloudId });
  return { imageId: id, receivedBytes, sizeBytes, operationId };
}

/**
 * Hands a part of an image to its host. When it was the last, the import begins.
 * @throws NotFound | Conflict it begins elsewhere, or all has been sent | PayloadTooLarge | StorageFull | HostUnavailable
 */
export async function sendImage(
  deps: Deps,
  access: Operator,
  id: ImageId,
  { offsetBytes, content, signal }: { offsetBytes: number; content: Readable; signal: AbortSignal },
): Promise<ImageUpload> {
  const { hostId, sizeBytes, operationId } = await findUpload(deps, access, id);
  if (operationId !== null) {
    content.destroy();
    throw new VirgaError('Conflict', {
      detail: 'All of the image has been sent.',
      action: `Wait for its import: virga operations wait ${operationId}.`,
    });
  }
  const { cloudId } = deps;
  const agent = deps.agents.agentOf(hostId);
  const receivedBytes = await agent.receiveImage({ id, cloudId, offsetBytes, sizeBytes }, content, { signal });
  return inTransaction(deps.db, async (tx) => {
    const row = await tx.selectFrom('images').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
    const known = await tx.selectFrom('image_imports').selectAll().where('image_id', '=', id).executeTakeFirst();
    if (!row || !known) throw imageNotFound(id);
    const isWhole = receivedBytes === sizeBytes && row.state === 'pending';
    const started = known.operation_id ?? (isWhole ? await startImport(tx, access, row) : null);
    await tx
      .updateTable('image_imports')
      .set({ operation_id: started, touched_at: deps.clock.now() })
      .where('image_id', '=', id)
      .execute();
    return { imageId: id, receivedBytes, sizeBytes, operationId: started };
  });
}

/** Cancels what is being fetched, or gives up what has not all been sent. @throws NotFound | Conflict nothing is under way */
export async function cancelImageImport(deps: Deps, access: Operator, id: ImageId): Promise<Image> {
  return inTransaction(deps.db, async (tx) => {
    const row = await requireOwn(tx, access, id);
    const known = await tx.selectFrom('image_imports').selectAll().where('image_id', '=', id).executeTakeFirst();
    if (!known || row.state !== 'pending') {
      throw new VirgaError('Conflict', {
        detail: `Image ${row.name} is not being imported.`,
        action: 'Delete it, if it is not wanted: virga images delete.',
      });
    }
    await appendEvent(tx, access, {
      ...about(row, 'image.import-cancelled'),
      message: `The import of image ${row.name} was cancelled.`,
    });
    if (known.operation_id === null) return toImage(await giveUpUpload(tx, access, row));
    await tx.updateTable('image_imports').set({ is_cancelled: true }).where('image_id', '=', id).execute();
    await notify(tx, 'imports', id);
    return toImage(row);
  });
}

/** Removes an image that has not all been sent. */
export async function giveUpUpload(
  tx: Tx,
  access: Parameters<typeof startWorkflow>[1],
  { id, project_id, name }: Pick<ImageRow, 'id' | 'project_id' | 'name'>,
): Promise<ImageRow> {
  const row = await tx
    .updateTable('images')
    .set({ state: 'deleting', state_reason: 'It was not sent to its end.' })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const resource = { projectId: project_id, resourceId: id, resourceName: name };
  await startWorkflow(tx, access, deleteImageKind, resource, { imageId: id });
  return row;
}

/** @throws NotFound | Forbidden only an administrator of the cloud makes an image everybody's | Conflict */
export async function updateImage(
  deps: Deps,
  access: Operator,
  id: ImageId,
  { visibility }: { visibility: 'private' | 'public' },
): Promise<Changed> {
  requireMayShare(access, visibility);
  return inTransaction(deps.db, async (tx) => {
    const before = await requireOwn(tx, access, id);
    if (before.state !== 'available') {
      throw new VirgaError('Conflict', {
        detail: `Image ${before.name} is ${before.state}.`,
        action: 'Change it when it is available.',
      });
    }
    const row = await tx
      .updateTable('images')
      .set({ visibility })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await appendEvent(tx, access, {
      ...about(row, 'image.visibility-changed'),
      message: `Image ${row.name} is ${visibility === 'public' ? 'for every project' : 'for its project only'} now.`,
      data: { visibility },
    });
    const operationId = await startWorkflow(tx, access, shareImageKind, resourceOf(row), { imageId: id });
    return { image: toImage(row), operationId };
  });
}

async function wantedImport(deps: Deps, access: Operator, body: ImportImage): Promise<NewImport> {
  const { source } = body;
  if ('catalog' in source) {
    const { architecture = await usualArchitecture(deps) } = source;
    const entry = await findInCatalog(deps.settings, source.catalog, architecture);
    const { url, format, checksums } = entry;
    const rest = described(access, { minimumMemoryMib: entry.minimumMemoryMib, ...body }, entry.defaultUser);
    const list = checksums === null ? {} : { checksumList: checksums };
    return { ...rest, name: body.name ?? entry.name, source: { kind: 'download', url, format, ...list } };
  }
  if (body.name === undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The image has no name.',
      action: 'Say what to call it.',
      field: '/name',
    });
  }
  const url = URL.parse(source.url);
  if (url === null || url.username !== '' || url.password !== '') {
    throw new VirgaError('InvalidArgument', {
      detail:
        url === null ? 'The address is malformed.' : 'The address has a password in it, which would be kept and shown.',
      action: 'Give an address that begins with https:// or http:// and needs no password.',
      field: '/source/url',
    });
  }
  const { checksum, checksumList } = source;
  const format: StatedFormat = body.format ?? 'detect';
  const sums = { ...(checksum && { checksum }), ...(checksumList && { checksumList }) };
  const stored = { kind: 'download' as const, url: url.href, format, ...sums };
  return { ...described(access, body, usualUser), name: body.name, source: stored };
}

type Described = Pick<ImportImage, 'kind' | 'visibility' | 'defaultUser' | 'minimumMemoryMib'>;

function described(access: Operator, body: Described, user: string): Omit<NewImport, 'name' | 'source'> {
  const { kind = 'disk', visibility = 'private', defaultUser = user, minimumMemoryMib = 0 } = body;
  requireMayShare(access, visibility);
  return { kind, visibility, defaultUser, minimumMemoryMib };
}

function requireMayShare({ cloudRole }: Operator, visibility: 'private' | 'public'): void {
  if (visibility === 'private' || cloudRole === 'admin') return;
  throw new VirgaError('Forbidden', {
    detail: 'An image for every project needs the cloud role admin.',
    action: 'Keep it private, or ask an administrator of the cloud.',
    field: '/visibility',
  });
}

async function insertImport(tx: Tx, access: Operator, wanted: NewImport): Promise<ImageRow> {
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

const startImport = (tx: Tx, access: Operator, row: ImageRow): Promise<OperationId> =>
  startWorkflow(tx, access, importImageKind, resourceOf(row), { imageId: row.id });

/** Where there is most room. */
async function chooseHost(tx: Tx): Promise<HostId> {
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

/** Of the hosts there are. */
async function usualArchitecture({ db }: Deps): Promise<Architecture> {
  const host = await db.selectFrom('hosts').select('facts').where('facts', 'is not', null).limit(1).executeTakeFirst();
  return host?.facts?.arch === 'aarch64' ? 'arm64' : 'amd64';
}

async function findUpload({ db }: Deps, access: Operator, id: ImageId) {
  const row = await db
    .selectFrom('image_imports')
    .innerJoin('images', 'images.id', 'image_imports.image_id')
    .select(['image_imports.host_id', 'image_imports.size_bytes', 'image_imports.operation_id', 'images.state'])
    .where('images.id', '=', id)
    .where('images.project_id', '=', access.projectId)
    .executeTakeFirst();
  if (!row || row.size_bytes === null || row.state !== 'pending') {
    throw new VirgaError('NotFound', {
      detail: `Nothing is being sent to the image ${id}.`,
      action: 'Announce an image first: virga images import.',
    });
  }
  return { hostId: row.host_id, sizeBytes: row.size_bytes, operationId: row.operation_id };
}

async function requireOwn(tx: Tx, access: Operator, id: ImageId): Promise<ImageRow> {
  const row = await tx.selectFrom('images').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
  if (row?.project_id !== access.projectId) throw imageNotFound(id);
  return row;
}

async function named<T>(name: string, insert: () => Promise<T>): Promise<T> {
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

const resourceOf = (row: ImageRow) => ({ projectId: row.project_id, resourceId: row.id, resourceName: row.name });
const about = (row: ImageRow, type: string) => ({ type, ...resourceOf(row) });

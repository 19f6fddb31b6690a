// What fronts call to bring images in by an address or from the catalog, and to share them. A host fetches the bytes.
import type { StatedFormat } from '@virga/contract/agent/image-source';
import { VirgaError } from '@virga/contract/errors';
import type { ImageId, OperationId } from '@virga/contract/ids';
import type { Architecture, CatalogImage, ImportImage } from '@virga/contract/rest/image-import';
import type { Image } from '@virga/contract/rest/images';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { findInCatalog, readCatalog } from './catalog/catalog.ts';
import { about, named, resourceOf, toImage } from './image-store.ts';
import {
  chooseHost,
  described,
  insertImport,
  type NewImport,
  type Operator,
  requireMayShare,
  requireOwn,
  startImport,
  usualUser,
} from './new-import.ts';
import { shareImageKind } from './share-image.workflow.ts';

type Changed = { image: Image; operationId: OperationId };
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
  const url = plainAddress(source.url, '/source/url');
  const { checksum, checksumList } = source;
  if (checksumList) plainAddress(checksumList.url, '/source/checksumList/url');
  if (checksumList?.signature?.url) plainAddress(checksumList.signature.url, '/source/checksumList/signature/url');
  const format: StatedFormat = body.format ?? 'detect';
  const sums = { ...(checksum && { checksum }), ...(checksumList && { checksumList }) };
  const stored = { kind: 'download' as const, url, format, ...sums };
  return { ...described(access, body, usualUser), name: body.name, source: stored };
}

/** @throws InvalidArgument it is malformed, or has a password in it */
function plainAddress(address: string, field: string): string {
  const url = URL.parse(address);
  if (url !== null && url.username === '' && url.password === '') return url.href;
  throw new VirgaError('InvalidArgument', {
    detail:
      url === null ? 'The address is malformed.' : 'The address has a password in it, which would be kept and shown.',
    action: 'Give an address that begins with https:// or http:// and needs no password.',
    field,
  });
}

/** Of the hosts there are. */
async function usualArchitecture({ db }: Deps): Promise<Architecture> {
  const host = await db.selectFrom('hosts').select('facts').where('facts', 'is not', null).limit(1).executeTakeFirst();
  return host?.facts?.arch === 'aarch64' ? 'arm64' : 'amd64';
}

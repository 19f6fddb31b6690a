// What fronts call to have an image sent: announced, sent in parts, and given up. The bytes are handed from the stream to a host.
import type { Readable } from 'node:stream';
import { VirgaError } from '@virga/contract/errors';
import type { ImageId } from '@virga/contract/ids';
import type { ImageUpload, UploadImage } from '@virga/contract/rest/image-import';
import type { Image } from '@virga/contract/rest/images';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { deleteImageKind } from './delete-image.workflow.ts';
import { about, type ImageRow, imageNotFound, named, toImage } from './image-store.ts';
import {
  chooseHost,
  described,
  insertImport,
  type Operator,
  requireOwn,
  startImport,
  usualUser,
} from './new-import.ts';

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

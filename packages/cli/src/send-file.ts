// Sends a file of this machine to the server as an image, in parts, with a bar. A part that does not arrive is sent again from
// where the server is, and the same command goes on with what an earlier one did not finish; the checksum sees to it that it is
// the same file. Interrupted by a person, what has been sent is given up.
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, sendImage } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { OperationId } from '@virga/contract/ids';
import type { ImageUpload, UploadImage } from '@virga/contract/rest/image-import';
import type { Image } from '@virga/contract/rest/images';
import type { CommandContext } from './context.ts';
import { idempotent } from './idempotent.ts';
import { formatBytes } from './output/format.ts';

const partBytes = 8 * 1024 ** 2;
const mostFailures = 6;
const firstPauseMs = 250;

/** @returns when all has been sent, with the operation that imports it */
export async function sendFile(
  context: CommandContext,
  path: string,
  body: Omit<UploadImage, 'sizeBytes'>,
): Promise<{ operationId: OperationId; image: Image }> {
  await using file = await openFile(path);
  const { size: sizeBytes } = await file.stat();
  const client = await context.client();
  const progress = context.progress();
  const task = progress.task(`sending ${body.name}`, { passing: true });
  let image: Image | undefined;
  try {
    const checksum = body.checksum ?? {
      algorithm: 'sha256' as const,
      value: await digestOf(file, context.interrupt()),
    };
    image = await announce(client, { ...body, checksum, sizeBytes });
    const { operationId } = await sendParts(context, file, { image, sizeBytes }, (bytes) =>
      task.update(`${formatBytes(bytes)} of ${formatBytes(sizeBytes)}`, Math.floor((bytes / sizeBytes) * 100)),
    );
    task.succeed(formatBytes(sizeBytes));
    return { operationId: operationId!, image };
  } catch (error) {
    task.fail('not sent');
    const canGoOn = error instanceof VirgaError && error.kind.retryable;
    if (image && !canGoOn) await client.cancelImageImport({ params: { id: image.id } }).catch(() => undefined);
    if (!canGoOn) throw error;
    throw new VirgaError(error.code, {
      ...{ detail: error.detail, cause: error },
      action: 'Run the same command again: it goes on where this one ended.',
    });
  } finally {
    progress.close();
  }
}

/** One that an earlier command announced and did not send to its end is gone on with. */
async function announce(client: Client, body: UploadImage): Promise<Image> {
  try {
    return await idempotent((sent) => client.uploadImage({ body }, sent));
  } catch (error) {
    if (!(error instanceof VirgaError) || error.code !== 'NameTaken') throw error;
    const { items } = await client.listImages({ query: { name: body.name } });
    for (const image of items.filter(({ state }) => state === 'pending')) {
      const upload = await client.getImageUpload({ params: { id: image.id } }).catch(() => undefined);
      if (upload?.sizeBytes === body.sizeBytes && upload.operationId === null) return image;
    }
    throw error;
  }
}

async function digestOf(file: FileHandle, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(partBytes);
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, partBytes, at);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function sendParts(
  context: CommandContext,
  file: FileHandle,
  { image, sizeBytes }: { image: Image; sizeBytes: number },
  onSent: (bytes: number) => void,
): Promise<ImageUpload> {
  const [connection, client, signal] = [await context.connection(), await context.client(), context.interrupt()];
  const { id } = image;
  const where = () => client.getImageUpload({ params: { id } });
  const buffer = Buffer.alloc(partBytes);
  let upload = await where();
  for (let failures = 0; upload.operationId === null; ) {
    const offsetBytes = upload.receivedBytes;
    const { bytesRead } = await file.read(buffer, 0, partBytes, offsetBytes);
    if (bytesRead === 0) throw becameShorter(offsetBytes, sizeBytes);
    try {
      upload = await sendImage(connection, { id, offsetBytes }, buffer.subarray(0, bytesRead), signal);
      failures = 0;
    } catch (error) {
      signal.throwIfAborted();
      const isPassing = error instanceof VirgaError && (error.kind.retryable || error.code === 'Conflict');
      if (!isPassing || ++failures > mostFailures) throw error;
      await sleep(firstPauseMs * 2 ** failures, undefined, { signal });
      upload = await where().catch(() => upload);
    }
    onSent(upload.receivedBytes);
  }
  return upload;
}

async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'There is no file' : 'This user may not read';
    throw new VirgaError('NotFound', { detail: `${why} ${path}.`, action: 'Check the path.', cause });
  }
  const found = await file.stat();
  if (found.isFile() && found.size > 0) return file;
  await file.close();
  throw new VirgaError('InvalidArgument', {
    detail: `${path} is ${found.isFile() ? 'empty' : 'no file'}.`,
    action: 'Give the file of an image.',
  });
}

const becameShorter = (bytes: number, sizeBytes: number) =>
  new VirgaError('Conflict', {
    detail: `The file has ${bytes} bytes now, and had ${sizeBytes}.`,
    action: 'Leave it alone while it is sent, and import it again.',
  });

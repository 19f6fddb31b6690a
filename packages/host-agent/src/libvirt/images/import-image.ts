// Brings an image into the host's store: opened once, judged by its header, copied, judged again as a whole, recorded,
// named. Nothing is left of an image that is refused, nor of one that the storage has no room for.
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { ObservedImage } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import { writeFileDurably } from '../../durable-file.ts';
import type { AgentContext } from '../agent-context.ts';
import { requireSpace, reserveBytes, type Storage, storageError } from '../storage.ts';
import { copyImage, SourceShrank } from './copy-image.ts';
import { checkHeader, unusable } from './image-check.ts';
import {
  findImage,
  imageFile,
  imageFolder,
  observed,
  recordFile,
  removeImage,
  type StoredImage,
  unfinishedFolder,
} from './image-store.ts';
import { imageMode, settleImage } from './settle-image.ts';
import { importStaged } from './staging/import-staged.ts';

const folderMode = 0o711;
const blockBytes = 512;
/** The copy is most of the work; the check of the whole is the rest. */
const copyShare = 90;
const leaveAlone = 'Leave the file alone while it is registered, and register it again.';

export function importImage(context: AgentContext, desired: DesiredImage, call: CallContext): Promise<ObservedImage> {
  return context.locks.run(desired.id, async () => {
    const { storage } = context;
    const present = await findImage(storage, desired.id);
    if (present !== undefined) {
      if (present.cloudId !== desired.cloudId) throw notOurs(desired);
      return observed(await keep(storage, present, desired));
    }
    const unfinished = unfinishedFolder(storage, desired.id, desired.cloudId);
    const { source: from } = desired;
    if (from.kind !== 'file') return importStaged(context, { ...desired, source: from }, call);
    try {
      await using source = await openSource(from.path);
      // A folder with that name but without a whole image in it is what a deletion left.
      await removeImage(storage, desired.id, desired.cloudId);
      return await bringIn(context, desired, source, unfinished, call);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      throw storageError(error, storage, 'bring an image in');
    }
  });
}

/** What it was given to keep may have changed, or not been there, since the image came in. */
async function keep(storage: Storage, present: StoredImage, { keepsake }: DesiredImage): Promise<StoredImage> {
  if (keepsake === undefined || isDeepStrictEqual(keepsake, present.keepsake)) return present;
  const image = { ...present, keepsake };
  const path = join(imageFolder(storage, present.id), recordFile);
  await writeFileDurably(path, `${JSON.stringify(observed(image))}\n`, imageMode);
  return image;
}

async function bringIn(
  context: AgentContext,
  desired: DesiredImage,
  source: FileHandle,
  unfinished: string,
  { onProgress, signal }: CallContext,
): Promise<ObservedImage> {
  const { storage, hook } = context;
  const { id } = desired;
  const { size: sizeBytes, blocks } = await source.stat();
  const virtualSizeBytes = await checkHeader(source, desired, sizeBytes);
  await requireSpace(storage, Math.min(sizeBytes, blocks * blockBytes) + reserveBytes);

  await hook('copy-image', id);
  await mkdir(unfinished, { mode: folderMode });
  const path = join(unfinished, imageFile);
  const report = percentReporter('copying the image', sizeBytes, copyShare, onProgress);
  const sha256 = await copyImage(source, path, { sizeBytes, onProgress: report, signal }).catch((error) => {
    throw error instanceof SourceShrank ? unusable('became shorter while it was copied', leaveAlone, error) : error;
  });
  return settleImage(context, desired, { unfinished, virtualSizeBytes, sizeBytes, sha256 }, { onProgress, signal });
}

/** Opens the file for good: whatever its name means later, this one is checked and copied. Waits for no pipe. */
async function openSource(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw sourceError(path, error as NodeJS.ErrnoException);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw unusable('is not a regular file', 'Give the path of a file, not of a folder, pipe or device.');
}

function percentReporter(message: string, totalBytes: number, share: number, onProgress: CallContext['onProgress']) {
  let last = -1;
  return (copiedBytes: number) => {
    const percent = Math.floor((copiedBytes / totalBytes) * share);
    if (percent > last) onProgress?.(message, percent);
    last = percent;
  };
}

function sourceError(path: string, error: NodeJS.ErrnoException): unknown {
  const field = '/source/path';
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
    const action = 'Give the path of a file on the host.';
    return new VirgaError('NotFound', { detail: `There is no file ${path} on the host.`, action, field, cause: error });
  }
  if (['EACCES', 'EPERM', 'ENXIO', 'EISDIR', 'ELOOP', 'ENAMETOOLONG'].includes(error.code ?? '')) {
    return unusable(`${path} cannot be opened (${error.code})`, 'Let the host agent read it.', error);
  }
  return error;
}

const notOurs = ({ id }: DesiredImage) =>
  new VirgaError('Conflict', {
    detail: `The image ${id} on the host belongs to another cloud.`,
    action: 'Register it under another id.',
  });

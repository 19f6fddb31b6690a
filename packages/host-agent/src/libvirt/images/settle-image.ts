// The last steps of every image on its way into the store: given to guests, judged as a whole, recorded, named. Owns the moment
// from which it counts; until then its folder has another name.
import { chmod, chown, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { ImageVerification } from '@virga/contract/agent/image-source';
import type { ObservedImage } from '@virga/contract/agent/observed';
import { flushFolder, writeFileDurably } from '../../durable-file.ts';
import { nobody } from '../../sandbox/sandbox.ts';
import type { AgentContext } from '../agent-context.ts';
import { guestOwner } from '../host/guest-owner.ts';
import { checkContent, checkHeader, type Reader, unusable } from './image-check.ts';
import { imageFile, imageFolder, recordFile } from './image-store.ts';

/** Readable by root and by the group that guests' QEMUs run as; written by nobody. */
export const imageMode = 0o440;
/** Bringing it here was most of the work. */
const checkPercent = 90;

type Filled = {
  /** Its folder, with the image in it. */
  unfinished: string;
  virtualSizeBytes: number;
  sizeBytes: number;
  sha256: string;
  verification?: ImageVerification;
};

/** @throws ImageUnusable */
export async function settleImage(
  context: AgentContext,
  desired: DesiredImage,
  { unfinished, virtualSizeBytes, sizeBytes, sha256, verification }: Filled,
  { onProgress, signal }: CallContext,
): Promise<ObservedImage> {
  const { storage, hook } = context;
  const { id, cloudId, format, keepsake } = desired;
  const path = join(unfinished, imageFile);
  const reader = await giveToGuests(context, path);

  await hook('check-image', id);
  onProgress?.('checking the image', checkPercent);
  await using copy = await open(path, 'r');
  // Once more: the source may have been changed between the look and the copy.
  if ((await checkHeader(copy, desired, sizeBytes)) !== virtualSizeBytes) {
    const leaveAlone = 'Leave the file alone while it is registered, and register it again.';
    throw unusable('changed while it was copied', leaveAlone);
  }
  await checkContent(path, format, reader, signal);

  await copy.datasync();
  const record: ObservedImage = {
    ...{ id, cloudId, virtualSizeBytes, fileSizeBytes: sizeBytes, format, sha256 },
    ...(verification && { verification }),
    ...(keepsake && { keepsake }),
  };
  await writeFileDurably(join(unfinished, recordFile), `${JSON.stringify(record)}\n`, imageMode);
  await hook('name-image', id);
  await rename(unfinished, imageFolder(storage, id));
  await flushFolder(storage.imagesPath);
  onProgress?.('the image is ready', 100);
  return record;
}

/** Lets guests' QEMUs read the image. @returns who may look at it for us; undefined: we are nobody special ourselves */
async function giveToGuests(context: AgentContext, path: string): Promise<Reader> {
  await chmod(path, imageMode);
  if (process.getuid?.() !== 0) return undefined;
  const { gid } = await guestOwner(context.hypervisor);
  await chown(path, 0, gid);
  return { uid: nobody, gid };
}

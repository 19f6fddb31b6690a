// Images on the host: a folder each, with the image and what is known of it. Owns `images/`. A folder gets its name once
// all of it is there, so whatever is called `images/ami-…` is whole; what a crash leaves has its cloud in its name.
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ObservedImage } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import { type ImageId, isId } from '@virga/contract/ids';
import type { BaseImage } from '../instances/root-disk.ts';
import type { Storage } from '../storage.ts';
import { stagedFolder } from './staging/staged-file.ts';

export type StoredImage = ObservedImage & BaseImage;

export const imageFile = 'image';
export const recordFile = 'image.json';

export const imageFolder = (storage: Storage, id: ImageId): string => join(storage.imagesPath, id);
export const unfinishedFolder = (storage: Storage, id: ImageId, cloudId: string): string =>
  join(storage.imagesPath, `.${id}.${cloudId}`);

/** The image as it was recorded when it came in; undefined when there is none, or it is not what was recorded. */
export async function findImage(storage: Storage, id: ImageId): Promise<StoredImage | undefined> {
  const folder = imageFolder(storage, id);
  const path = join(folder, imageFile);
  try {
    const [text, { size }] = await Promise.all([readFile(join(folder, recordFile), 'utf8'), stat(path)]);
    const record = JSON.parse(text) as ObservedImage;
    return record.fileSizeBytes === size ? { ...record, path } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The image that the disk of an instance rests on; null when it is an empty one. @throws NotFound */
export async function requireImage(
  storage: Storage,
  { cloudId, rootDisk }: Pick<DesiredInstance, 'cloudId' | 'rootDisk'>,
): Promise<StoredImage | null> {
  return rootDisk.imageId === null ? null : requireStoredImage(storage, cloudId, rootDisk.imageId);
}

/** @throws NotFound */
export async function requireStoredImage(storage: Storage, cloudId: string, id: ImageId): Promise<StoredImage> {
  const image = await findImage(storage, id);
  if (image?.cloudId === cloudId) return image;
  throw new VirgaError('NotFound', {
    detail: `The image ${id} is not on this host.`,
    action: 'Register it again, or launch from another one: virga images list.',
  });
}

export async function listImages(storage: Storage, cloudId: string): Promise<ObservedImage[]> {
  const names = await readdir(storage.imagesPath);
  const images = await Promise.all(
    names.filter((name) => isId('image', name)).map((id) => findImage(storage, id as ImageId)),
  );
  return images.filter((image) => image?.cloudId === cloudId).map((image) => observed(image!));
}

export function observed({ path: _, ...image }: StoredImage): ObservedImage {
  return image;
}

export async function removeImage(
  storage: Storage,
  id: ImageId,
  cloudId: string,
  { keepStaged = false }: { keepStaged?: boolean } = {},
): Promise<void> {
  await rm(unfinishedFolder(storage, id, cloudId), { recursive: true, force: true });
  if (!keepStaged) await rm(stagedFolder(storage, { id, cloudId }), { recursive: true, force: true });
  const folder = imageFolder(storage, id);
  // The record first: without it the image counts as not there.
  await rm(join(folder, recordFile), { force: true });
  await rm(folder, { recursive: true, force: true });
}

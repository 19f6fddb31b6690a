// Copies of images in a pool of Ceph, one of each, which disks there are clones of. A copy has the cloud in its name, gets it
// once all of it is there, and is protected: Ceph removes none that a disk rests on. Hosts may work on the same one at the
// same time: what the other has done is found, and gone on from.
import type { ImageCopy } from '@virga/contract/agent/image-copies';
import { VirgaError } from '@virga/contract/errors';
import { type ImageId, isId, type VolumeId } from '@virga/contract/ids';
import { CommandFailed } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import { isNotThere } from './ceph-failures.ts';
import type { DiskWork } from './pool-driver.ts';
import type { RbdPool } from './rbd-pool.ts';

type Copied = Pick<ImageCopy, 'imageId' | 'cloudId'>;

const snapshot = 'base';
/** Of `rbd`: something is there already, is protected or not as it must be, has snapshots, or is in use. */
const otherwiseCodes = [16, 17, 22, 39];
const attempts = 5;

const nameOf = ({ imageId, cloudId }: Copied): string => `${imageId}.${cloudId}`;
/** While it is being made; the disk that it is made for is its owner. */
const unfinishedName = (id: VolumeId): string => `${id}.image`;

/**
 * Makes a disk that is a clone of an image, under a name of which nothing is there. Makes the copy of the image first where
 * there is none.
 */
export async function cloneImage(
  locks: AgentContext['locks'],
  pool: RbdPool,
  copied: Copied,
  image: BaseImage,
  { id, target }: { id: VolumeId; target: string },
  work: DiskWork,
): Promise<void> {
  const base = `${pool.imageName(nameOf(copied))}@${snapshot}`;
  for (let left = attempts; ; left--) {
    try {
      // The first format: that a clone is there keeps its parent from being removed.
      await pool.rbd(['clone', '--rbd-default-clone-format', '1', base, target], work);
      return;
    } catch (error) {
      // There is none yet, or another host has just removed it, as nobody needed it.
      if (left === 0 || !(isNotThere(error) || isOtherwise(error))) throw error;
    }
    // Once on this host, whoever needs it.
    await locks.run(pool.imageName(nameOf(copied)), () => provideCopy(pool, copied, image, id, work));
  }
}

async function provideCopy(
  pool: RbdPool,
  copied: Copied,
  image: BaseImage,
  id: VolumeId,
  work: DiskWork,
): Promise<void> {
  const copy = pool.imageName(nameOf(copied));
  if (await isThere(pool, copy)) return protect(pool, copy);
  const unfinished = pool.imageName(unfinishedName(id));
  await pool.removeImage(unfinished);
  await pool.importDisk(image, unfinished, work);
  try {
    await pool.rbd(['rename', unfinished, copy], work);
  } catch (error) {
    if (!isOtherwise(error)) throw error;
    await pool.removeImage(unfinished);
  }
  await protect(pool, copy);
}

async function protect(pool: RbdPool, copy: string): Promise<void> {
  await unlessOtherwise(pool.rbd(['snap', 'create', '--no-progress', `${copy}@${snapshot}`]));
  await unlessOtherwise(pool.rbd(['snap', 'protect', `${copy}@${snapshot}`]));
}

/** What a crash left of a copy that was made for a disk. */
export const removeUnfinishedCopy = (pool: RbdPool, id: VolumeId): Promise<void> =>
  pool.removeImage(pool.imageName(unfinishedName(id)));

export async function listCopies(pool: RbdPool, cloudId: string): Promise<ImageId[]> {
  const names = JSON.parse(await pool.rbd(['ls', '--format', 'json', pool.imageName('')])) as string[];
  const ids = names.filter((name) => name.endsWith(`.${cloudId}`)).map((name) => name.slice(0, -cloudId.length - 1));
  return ids.filter((id) => isId('image', id)) as ImageId[];
}

/** Nothing there is success. @throws InUse a disk rests on it */
export async function removeCopy(pool: RbdPool, copied: Copied): Promise<void> {
  const copy = pool.imageName(nameOf(copied));
  try {
    await pool.rbd(['snap', 'unprotect', `${copy}@${snapshot}`]);
  } catch (error) {
    const children = await clonesOf(pool, copy);
    if (children.length > 0) throw inUse(copied, children[0]!);
    // It is not protected, or has no snapshot, or is not there.
    if (!isNotThere(error) && !isOtherwise(error)) throw error;
  }
  try {
    await pool.rbd(['snap', 'rm', '--no-progress', `${copy}@${snapshot}`]).catch(unlessThere);
    await pool.removeImage(copy);
  } catch (error) {
    // Another host protects it again, for a disk of its own.
    throw isOtherwise(error) ? inUse(copied, 'of another host') : error;
  }
}

function unlessThere(error: unknown): void {
  if (!isNotThere(error)) throw error;
}

/** Of a pool that is no longer to be used. What a disk rests on stays, and so does all of a cluster that is away. */
export async function removeCopies(pool: RbdPool, cloudId: string): Promise<void> {
  const ids = await listCopies(pool, cloudId).catch(() => []);
  for (const imageId of ids) await removeCopy(pool, { imageId, cloudId }).catch(() => undefined);
}

async function clonesOf(pool: RbdPool, copy: string): Promise<string[]> {
  try {
    const text = await pool.rbd(['children', '--format', 'json', `${copy}@${snapshot}`]);
    return (JSON.parse(text) as { image: string }[]).map(({ image }) => image);
  } catch (error) {
    if (isNotThere(error)) return [];
    throw error;
  }
}

export async function isThere(pool: RbdPool, image: string): Promise<boolean> {
  try {
    await pool.rbd(['info', '--format', 'json', image]);
    return true;
  } catch (error) {
    if (isNotThere(error)) return false;
    throw error;
  }
}

async function unlessOtherwise(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isOtherwise(error)) throw error;
  }
}

function isOtherwise(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  return cause instanceof CommandFailed && otherwiseCodes.includes(cause.exitCode ?? 0);
}

const inUse = ({ imageId }: Copied, disk: string): VirgaError =>
  new VirgaError('InUse', {
    detail: `The disk ${disk} rests on the copy of the image ${imageId}.`,
    action: 'Delete its instance first.',
  });

// Moments of backups that Ceph keeps of an image, each as a snapshot under the id of the backup: it is read from there, and tells
// what has changed since.
import { type BackupId, isId, type VolumeId } from '@virga/contract/ids';
import { isNotThere } from './ceph-failures.ts';

/** What asks Ceph. */
type Pool = {
  imageName(name: string): string;
  rbd(args: readonly string[]): Promise<string>;
  rbdOwned(args: readonly string[]): Promise<void>;
};

/** There is none of it. Also while a guest has the image: then its QEMU takes it, with all that was written until then. */
export const keepMoment = (pool: Pool, image: VolumeId, id: BackupId): Promise<void> =>
  pool.rbdOwned(['snap', 'create', nameOf(pool, image, id)]);

/** None when the image is not there. */
export async function momentsOf(pool: Pool, image: VolumeId): Promise<BackupId[]> {
  try {
    const text = await pool.rbd(['snap', 'ls', '--format', 'json', pool.imageName(image)]);
    const names = (JSON.parse(text) as { name: string }[]).map(({ name }) => name);
    return names.filter((name) => isId('backup', name)) as BackupId[];
  } catch (error) {
    if (isNotThere(error)) return [];
    throw error;
  }
}

/** Idempotent. @param isForgotten default all of them */
export async function forgetMoments(
  pool: Pool,
  image: VolumeId,
  isForgotten: (id: BackupId) => boolean = () => true,
): Promise<void> {
  for (const id of (await momentsOf(pool, image)).filter(isForgotten)) {
    await pool.rbdOwned(['snap', 'rm', nameOf(pool, image, id)]);
  }
}

const nameOf = (pool: Pool, image: VolumeId, id: BackupId): string => `${pool.imageName(image)}@${id}`;

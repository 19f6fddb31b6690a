// Snapshots of images in a pool of Ceph, under the ids of ours: taken, gone back to, removed, cloned and read. Those under the id of
// a backup are its moments: it is read from there, and they tell what has changed since. What was begun ends with us, so that
// nothing of it goes on beside who begins again.
import { type BackupId, isId, type SnapshotId, type VolumeId } from '@virga/contract/ids';
import { CommandFailed } from '../../run-command.ts';
import { isNotThere } from './ceph-failures.ts';
import type { DiskWork } from './pool-driver.ts';

/** What asks Ceph. */
type Pool = {
  imageName(name: string): string;
  sizeOf(folder: string, id: VolumeId): Promise<number | undefined>;
  growImage(image: string, sizeBytes: number, work: DiskWork): Promise<void>;
  rbd(args: readonly string[]): Promise<string>;
  rbdOwned(args: readonly string[], work?: DiskWork): Promise<void>;
};

type Seen = { name: string; protected: string };

/** What Ceph keeps an image for. */
export type KeptFor = SnapshotId | BackupId;

/** Of `rbd`: it is protected already. */
const busyCode = 16;

/** There is none of it. Also while a guest has the image: then its QEMU takes it, with all that was written until then. */
export const takeRbdSnapshot = (pool: Pool, image: VolumeId, id: KeptFor): Promise<void> =>
  pool.rbdOwned(['snap', 'create', nameOf(pool, image, id)]);

export async function hasRbdSnapshot(pool: Pool, image: VolumeId, id: KeptFor): Promise<boolean> {
  return (await listed(pool, image)).some(({ name }) => name === id);
}

/** Ids of ours that an image has, but for moments of backups; none when it is not there. */
export async function rbdSnapshotsOf(pool: Pool, image: VolumeId): Promise<SnapshotId[]> {
  const names = (await listed(pool, image)).map(({ name }) => name);
  return names.filter((name) => isId('snapshot', name)) as SnapshotId[];
}

/** All that are in a pool, each as `IMAGE@SNAPSHOT`, in one question. */
export async function allRbdSnapshots(pool: Pool): Promise<ReadonlySet<string>> {
  const text = await pool.rbd(['ls', '--long', '--format', 'json', pool.imageName('')]);
  const found = JSON.parse(text) as { image: string; snapshot?: string }[];
  return new Set(found.flatMap(({ image, snapshot }) => (snapshot === undefined ? [] : `${image}@${snapshot}`)));
}

/** Nothing there is success. @throws PoolUnusable such as when a disk rests on it */
export async function removeRbdSnapshot(pool: Pool, image: VolumeId, id: SnapshotId): Promise<void> {
  const found = (await listed(pool, image)).find(({ name }) => name === id);
  if (found === undefined) return;
  if (found.protected === 'true') await pool.rbdOwned(['snap', 'unprotect', nameOf(pool, image, id)]);
  await pool.rbdOwned(['snap', 'rm', nameOf(pool, image, id)]);
}

/** Idempotent. @param isForgotten default all of them */
export async function forgetMoments(
  pool: Pool,
  image: VolumeId,
  isForgotten: (id: BackupId) => boolean = () => true,
): Promise<void> {
  for (const { name } of await listed(pool, image)) {
    if (isId('backup', name) && isForgotten(name)) await pool.rbdOwned(['snap', 'rm', nameOf(pool, image, name)]);
  }
}

/** Nobody has it open. May be done twice. @param leastBytes how large it is to be afterwards, if it is smaller */
export async function rollBackImage(
  pool: Pool,
  image: VolumeId,
  { id, leastBytes }: { id: SnapshotId; leastBytes: number },
  work: DiskWork,
): Promise<void> {
  await pool.rbdOwned(['snap', 'rollback', nameOf(pool, image, id)], work);
  const bytes = await pool.sizeOf('', image);
  if (bytes !== undefined && bytes < leastBytes) await pool.growImage(pool.imageName(image), leastBytes, work);
}

/** An image that rests on the snapshot, under a name of which nothing is there; Ceph lets the snapshot go no more. */
export async function cloneRbdSnapshot(
  pool: Pool,
  image: VolumeId,
  id: SnapshotId,
  target: string,
  work: DiskWork,
): Promise<void> {
  const snapshot = nameOf(pool, image, id);
  try {
    await pool.rbdOwned(['snap', 'protect', snapshot], work);
  } catch (error) {
    const { cause } = error as { cause?: unknown };
    if (!(cause instanceof CommandFailed && cause.exitCode === busyCode)) throw error;
  }
  // The first format: that a clone is there keeps its parent from being removed.
  await pool.rbdOwned(['clone', '--rbd-default-clone-format', '1', snapshot, target], work);
}

const nameOf = (pool: Pool, image: VolumeId, id: KeptFor): string => `${pool.imageName(image)}@${id}`;

async function listed(pool: Pool, image: VolumeId): Promise<Seen[]> {
  try {
    return JSON.parse(await pool.rbd(['snap', 'ls', '--format', 'json', pool.imageName(image)])) as Seen[];
  } catch (error) {
    if (isNotThere(error)) return [];
    throw error;
  }
}

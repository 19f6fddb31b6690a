// Root disks in a pool of Ceph: a clone of the pool's copy of the image, or a disk of its own. The folder of the instance, in
// the storage of the host, says before anything is made which disk it is, and has a mark once it was whole: whether it still
// is there is asked when it is needed, not each time that somebody looks.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { PoolId, VolumeId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import type { DiskSource } from '../disks/disk-source.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import { type Storage, smallestSpaceBytes } from '../storage.ts';
import { driverOf } from './drivers.ts';
import type { DiskWork } from './pool-driver.ts';
import { cloneImage, removeUnfinishedCopy } from './rbd-image-copies.ts';
import { RbdPool } from './rbd-pool.ts';

/** Where it lies in Ceph, as the owner of the folder tells it. */
export type CephDisk = { poolId: PoolId; id: VolumeId };

export const cephMark = (folder: string): string => join(folder, 'root.ceph');

/** The pool of a root disk, when that is one of Ceph. @throws PoolUnusable the host does not know it */
export async function cephPoolOf(
  storage: Storage,
  { pool }: Pick<DesiredInstance['rootDisk'], 'pool'>,
): Promise<RbdPool | undefined> {
  if (pool === undefined) return undefined;
  const driver = await driverOf(storage, pool);
  return driver instanceof RbdPool ? driver : undefined;
}

/** Idempotent: what is whole is left alone. @param image what is in it at first; null: nothing @throws PoolUnusable | StorageFull */
export async function makeCephRoot(
  { locks }: AgentContext,
  pool: RbdPool,
  { cloudId, rootDisk }: Pick<DesiredInstance, 'cloudId' | 'rootDisk'>,
  image: BaseImage | null,
  work: DiskWork,
): Promise<void> {
  const { id, imageId, clone } = rootDisk;
  if ((await pool.sizeOf('', id)) !== undefined) return;
  await pool.requireSpace(smallestSpaceBytes);
  const sizeBytes = Math.max(rootDisk.sizeBytes, image?.virtualSizeBytes ?? 0);
  if (image === null || imageId === null || clone === 'full') {
    const source = image ? { image, clone: 'full' as const } : undefined;
    return pool.makeDisk('', id, { format: 'raw', sizeBytes, preallocation: 'off', source }, work);
  }
  const target = pool.imageName(`${id}.partial`);
  await pool.removeImage(target);
  await cloneImage(locks, pool, { imageId, cloudId }, image, { id, target }, work);
  if (sizeBytes > image.virtualSizeBytes) await pool.growImage(target, sizeBytes, work);
  await work.beforeRename?.();
  await pool.rbd(['rename', target, pool.imageName(id)], work);
}

export const markCephRoot = (folder: string): Promise<void> => writeFile(cephMark(folder), '');

export const unmarkCephRoot = (folder: string): Promise<void> => rm(cephMark(folder), { force: true });

/** As QEMU opens it. */
export const cephRootSource = (pool: RbdPool, { id }: Pick<CephDisk, 'id'>): Promise<DiskSource> =>
  pool.source('', { id, format: 'raw', encrypted: false });

/** With all that a crash left of it. Nothing there is success. @throws PoolUnusable | HostUnavailable somebody has it open */
export async function removeCephRoot(storage: Storage, { poolId, id }: CephDisk): Promise<void> {
  const driver = await driverOf(storage, poolId);
  if (!(driver instanceof RbdPool)) return;
  await removeUnfinishedCopy(driver, id);
  await driver.removeDisk(id);
}

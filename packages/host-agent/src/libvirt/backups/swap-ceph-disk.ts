// Puts a restored disk in the place of one in Ceph, and back: an image of its own is made of what was fetched, and takes the name of
// the other, which is kept under a name of the restore. At every moment Ceph tells by the names how far it is. Owns those names.

import type { CallContext } from '@virga/contract/agent/agent';
import type { RestoreSwap } from '@virga/contract/agent/backups';
import type { PoolId, VolumeId } from '@virga/contract/ids';
import { snapshotsLost } from '../../backup-conflicts.ts';
import { readOwner } from '../instances/instance-folder.ts';
import { driverOf } from '../pools/drivers.ts';
import { isThere } from '../pools/rbd-image-copies.ts';
import { RbdPool } from '../pools/rbd-pool.ts';
import { forgetMoments, rbdSnapshotsOf } from '../pools/rbd-snapshots.ts';
import { rbdPool } from '../snapshots/ceph-disks.ts';
import type { Storage } from '../storage.ts';
import { readVolume } from '../volumes/volume-folder.ts';
import { fetchedDisk, openCephNote, readCephNote, virtualSizeOf } from './restore-folder.ts';

type SwappedDisk = RestoreSwap['disks'][number];
type CephPlace = { pool: RbdPool; poolId: PoolId; encrypted: boolean };

/** Undefined: it lies in no pool of Ceph. @throws PoolUnusable */
export async function cephPlaceOf(
  storage: Storage,
  { instance }: RestoreSwap,
  { id, role }: SwappedDisk,
): Promise<CephPlace | undefined> {
  const volume = role === 'data' ? await readVolume(storage, id) : undefined;
  const poolId = role === 'root' ? (await readOwner(storage, instance.id))?.ceph?.poolId : volume?.poolId;
  if (poolId === undefined) return undefined;
  const pool = await driverOf(storage, poolId);
  return pool instanceof RbdPool ? { pool, poolId, encrypted: volume?.encrypted === true } : undefined;
}

/** @throws Conflict there are snapshots of it */
export async function refuseKeptInCeph({ pool }: CephPlace, id: VolumeId): Promise<void> {
  if ((await rbdSnapshotsOf(pool, id)).length > 0) throw snapshotsLost(id);
}

/** May be done twice. @returns false: it was not fetched, or has been taken */
export async function swapInCeph(
  storage: Storage,
  restore: RestoreSwap,
  disk: SwappedDisk,
  { pool, poolId }: CephPlace,
  { signal, hook }: Pick<CallContext, 'signal'> & { hook(step: string): void | Promise<void> },
): Promise<boolean> {
  const { partial, fresh, present, replaced } = namesOf(pool, restore.id, disk.id);
  if (!(await isThere(pool, fresh))) {
    if (await isThere(pool, replaced)) return true;
    const path = fetchedDisk(storage, restore.id, disk.fetched);
    const virtualSizeBytes = await virtualSizeOf(path);
    if (virtualSizeBytes === undefined) return false;
    await openCephNote(storage, restore.id, { poolId, id: disk.id });
    await pool.removeImage(partial);
    await pool.importDisk({ path, format: 'qcow2', virtualSizeBytes }, partial, { signal });
    const before = (await pool.sizeOf('', disk.id)) ?? 0;
    if (virtualSizeBytes < before) await pool.growImage(partial, before, { signal });
    await pool.rbd(['rename', partial, fresh]);
  }
  if (!(await isThere(pool, replaced))) {
    await hook('restore-set-aside');
    await pool.rbd(['rename', present, replaced]);
  }
  await hook('restore-put');
  await pool.rbd(['rename', fresh, present]);
  return true;
}

/** May be done twice. @param requireOff is called before anything is done */
export async function swapBackInCeph(
  { id: restoreId }: RestoreSwap,
  { id }: SwappedDisk,
  { pool }: CephPlace,
  requireOff: () => Promise<unknown>,
): Promise<void> {
  const { present, replaced } = namesOf(pool, restoreId, id);
  if (!(await isThere(pool, replaced))) return;
  await requireOff();
  await forgetMoments(pool, id);
  await pool.removeImage(present);
  await pool.rbd(['rename', replaced, present]);
}

/** Removes what a restore has left in Ceph. Idempotent. */
export async function endSwapsInCeph(storage: Storage, id: Parameters<typeof readCephNote>[1]): Promise<void> {
  for (const disk of await readCephNote(storage, id)) {
    const pool = await rbdPool(storage, disk.poolId);
    const { partial, fresh, replaced } = namesOf(pool, id, disk.id);
    for (const name of [partial, fresh]) await pool.removeImage(name);
    // With what backups keep of it.
    if (await isThere(pool, replaced)) await pool.rbdOwned(['snap', 'purge', replaced]);
    await pool.removeImage(replaced);
  }
}

function namesOf(pool: RbdPool, restoreId: string, id: VolumeId) {
  const named = (what: string) => pool.imageName(`${id}.${restoreId}.${what}`);
  return { partial: named('partial'), fresh: named('fresh'), replaced: named('replaced'), present: pool.imageName(id) };
}

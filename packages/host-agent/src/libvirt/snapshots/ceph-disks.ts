// Disks of an instance that lie in Ceph, for snapshots and backups of it: Ceph keeps them, each under the id of that. Nothing is put
// on them and nothing of them is merged, so there is nothing that libvirt must be told of.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { PoolId, SnapshotId, VolumeId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { readOwner } from '../instances/instance-folder.ts';
import { driverOf } from '../pools/drivers.ts';
import { contentBytes } from '../pools/rbd-luks.ts';
import { RbdPool } from '../pools/rbd-pool.ts';
import type { CephDisk } from '../pools/rbd-root-disk.ts';
import {
  allRbdSnapshots,
  hasRbdSnapshot,
  type KeptFor,
  removeRbdSnapshot,
  rollBackImage,
  takeRbdSnapshot,
} from '../pools/rbd-snapshots.ts';
import type { Storage } from '../storage.ts';
import { readVolume } from '../volumes/volume-folder.ts';

/** As a domain has it. */
export type DiskInCeph = CephDisk & { target: string; sizeBytes: number; imageBytes: number };

/** Undefined: it is none. @throws PoolUnusable | HypervisorRefused it is gone */
export async function diskInCeph(
  storage: Storage,
  { id: instanceId, rootDisk }: Pick<DesiredInstance, 'id' | 'rootDisk'>,
  { id, cephTarget: target }: { id: VolumeId; cephTarget?: string },
): Promise<DiskInCeph | undefined> {
  if (target === undefined) return undefined;
  const volume = id === rootDisk.id ? undefined : await readVolume(storage, id);
  const poolId = id === rootDisk.id ? (await readOwner(storage, instanceId))?.ceph?.poolId : volume?.poolId;
  if (poolId === undefined) return undefined;
  const pool = await rbdPool(storage, poolId);
  const imageBytes = await pool.sizeOf('', id);
  if (imageBytes === undefined) throw diskGone(pool.imageName(id));
  return { id, poolId, target, sizeBytes: contentBytes(imageBytes, volume?.encrypted === true), imageBytes };
}

/** Side by side, because a guest may stand still for it. */
export const keepInCeph = (storage: Storage, id: KeptFor, disks: readonly CephDisk[]): Promise<void> =>
  each(storage, disks, (pool, disk) => takeRbdSnapshot(pool, disk.id, id));

/** May be done twice. @throws PoolUnusable such as when the disk of an instance of another host rests on one */
export const forgetInCeph = (storage: Storage, id: SnapshotId, disks: readonly CephDisk[]): Promise<void> =>
  each(storage, disks, (pool, disk) => removeRbdSnapshot(pool, disk.id, id));

/** Nobody has them open. May be done twice. What has grown since stays as large as it is. */
export const rollBackInCeph = (
  storage: Storage,
  id: SnapshotId,
  disks: readonly Pick<DiskInCeph, 'id' | 'poolId' | 'imageBytes'>[],
  onProgress?: (percent: number) => void,
): Promise<void> =>
  each(storage, disks, (pool, disk) =>
    rollBackImage(pool, disk.id, { id, leastBytes: disk.imageBytes }, { onProgress }),
  );

/** Whether Ceph keeps all of them for that. */
export async function areInCeph(storage: Storage, id: KeptFor, disks: readonly CephDisk[]): Promise<boolean> {
  for (const disk of disks) {
    if (!(await hasRbdSnapshot(await rbdPool(storage, disk.poolId), disk.id, id))) return false;
  }
  return true;
}

/** Which snapshots of disks are missing in Ceph. What cannot be asked says nothing against them. */
export async function missingInCeph(
  { storage, log }: Pick<AgentContext, 'storage' | 'log'>,
  pools: Iterable<PoolId>,
): Promise<(id: SnapshotId, disk: CephDisk) => boolean> {
  const found = new Map<PoolId, ReadonlySet<string>>();
  for (const poolId of new Set(pools)) {
    try {
      found.set(poolId, await allRbdSnapshots(await rbdPool(storage, poolId)));
    } catch (err) {
      log.warn({ err, pool: poolId }, 'could not look for snapshots in a pool');
    }
  }
  return (id, disk) => found.get(disk.poolId)?.has(`${disk.id}@${id}`) === false;
}

/** @throws PoolUnusable the host does not know it, or it is none of Ceph */
export async function rbdPool(storage: Storage, poolId: PoolId): Promise<RbdPool> {
  const driver = await driverOf(storage, poolId);
  if (driver instanceof RbdPool) return driver;
  throw new VirgaError('PoolUnusable', {
    detail: `The pool ${poolId} is none of Ceph, and was one.`,
    action: 'Look which pools the cloud knows: virga pools list.',
  });
}

async function each<D extends CephDisk>(
  storage: Storage,
  disks: readonly D[],
  act: (pool: RbdPool, disk: D) => Promise<void>,
): Promise<void> {
  const pools = await Promise.all(disks.map(({ poolId }) => rbdPool(storage, poolId)));
  // All have ended before what follows, also when one fails.
  const ended = await Promise.allSettled(disks.map((disk, index) => act(pools[index]!, disk)));
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
}

const diskGone = (name: string) =>
  new VirgaError('HypervisorRefused', {
    detail: `There is no disk ${name} in Ceph.`,
    action: 'Bring it back, such as from a backup; or delete what it is of.',
  });

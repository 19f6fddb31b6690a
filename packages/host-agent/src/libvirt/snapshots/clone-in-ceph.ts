// The root disk of a new instance in a pool of Ceph, from what Ceph keeps of another one for a snapshot: a clone that rests on
// that, which Ceph does not remove as long as one does, or a copy.
import type { DesiredClone } from '@virga/contract/agent/snapshots';
import type { AgentContext } from '../agent-context.ts';
import { folderPath } from '../instances/instance-folder.ts';
import type { DiskWork } from '../pools/pool-driver.ts';
import { markCephRoot } from '../pools/rbd-root-disk.ts';
import { cloneRbdSnapshot } from '../pools/rbd-snapshots.ts';
import { smallestSpaceBytes } from '../storage.ts';
import { rbdPool } from './ceph-disks.ts';
import type { KeptInCeph } from './snapshot-record.ts';

/** Idempotent: what is whole is left alone. @throws PoolUnusable | StorageFull */
export async function cloneInCeph(
  { storage }: AgentContext,
  { id, rootDiskId, kind, snapshot }: DesiredClone,
  kept: KeptInCeph,
  work: DiskWork,
): Promise<void> {
  const pool = await rbdPool(storage, kept.poolId);
  if ((await pool.sizeOf('', rootDiskId)) === undefined) {
    await pool.requireSpace(smallestSpaceBytes);
    if (kind === 'full') {
      await pool.withSnapshot(kept.id, snapshot.id, (remote) => {
        const { sizeBytes } = kept;
        const image = { path: pool.imageName(kept.id), format: 'raw' as const, virtualSizeBytes: sizeBytes, remote };
        const disk = { format: 'raw' as const, sizeBytes, preallocation: 'off' as const };
        return pool.makeDisk('', rootDiskId, { ...disk, source: { image, clone: 'full' } }, work);
      });
    } else {
      const target = pool.imageName(`${rootDiskId}.partial`);
      await pool.removeImage(target);
      await cloneRbdSnapshot(pool, kept.id, snapshot.id, target, work);
      await work.beforeRename?.();
      await pool.rbd(['rename', target, pool.imageName(rootDiskId)], work);
    }
  }
  await markCephRoot(folderPath(storage, id));
}

// Copies of images in the Ceph pools of this host, listed and removed. A pool that cannot be reached now has its turn later.
import type { ImageCopyKeeping } from '@virga/contract/agent/image-copies';
import type { AgentContext } from '../agent-context.ts';
import { driverOfPool } from './drivers.ts';
import { knownPools } from './pool-record.ts';
import { listCopies, removeCopy } from './rbd-image-copies.ts';
import { RbdPool } from './rbd-pool.ts';

export function imageCopyKeeping(context: AgentContext): ImageCopyKeeping {
  const cephPools = async (cloudId: string) =>
    (await knownPools(context.storage))
      .filter((pool) => pool.cloudId === cloudId)
      .map((pool) => ({ poolId: pool.id, driver: driverOfPool(context.storage, pool) }))
      .flatMap(({ poolId, driver }) => (driver instanceof RbdPool ? [{ poolId, driver }] : []));
  return {
    async listImageCopies(cloudId) {
      const lists = (await cephPools(cloudId)).map(async ({ poolId, driver }) => {
        const ids = await listCopies(driver, cloudId).catch((err) => {
          context.log.warn({ err, pool: poolId }, 'could not look for copies of images in a pool');
          return [];
        });
        return ids.map((imageId) => ({ poolId, imageId, cloudId }));
      });
      return (await Promise.all(lists)).flat();
    },
    async deleteImageCopy(copy) {
      const pool = (await cephPools(copy.cloudId)).find(({ poolId }) => poolId === copy.poolId);
      if (pool === undefined) return;
      await context.hook('delete-image-copy', copy.imageId);
      await removeCopy(pool.driver, copy);
    },
  };
}

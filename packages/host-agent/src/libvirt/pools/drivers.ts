// Which driver looks after a pool, from what this host was told of it.
import type { DesiredPool } from '@virga/contract/agent/pools';
import { VirgaError } from '@virga/contract/errors';
import type { PoolId } from '@virga/contract/ids';
import { probeDirectIo, type Storage } from '../storage.ts';
import { DirectoryPool, type DiskKind, ownStorage } from './directory-pool.ts';
import type { PoolDriver } from './pool-driver.ts';
import { readPool } from './pool-record.ts';
import { RbdPool } from './rbd-pool.ts';

export function driverOfPool(storage: Storage, { id, cloudId, place }: DesiredPool, kind?: DiskKind): PoolDriver {
  if (place.driver === 'rbd') return new RbdPool(storage, { id, cloudId }, place);
  return new DirectoryPool(
    place.path,
    { id, cloudId },
    {
      isShared: place.driver === 'shared-directory',
      kind,
    },
  );
}

/** @param poolId undefined: the host's own storage @throws PoolUnusable this host was told of no such pool */
export async function driverOf(storage: Storage, poolId: PoolId | undefined, kind?: DiskKind): Promise<PoolDriver> {
  if (poolId === undefined) return ownStorage(storage, kind);
  const pool = await readPool(storage, poolId);
  if (pool !== undefined) return driverOfPool(storage, pool, kind);
  throw new VirgaError('PoolUnusable', {
    detail: `The host does not know the pool ${poolId}.`,
    action: 'It learns of it from the server; try again in a moment.',
  });
}

/** Whether files of a pool can be opened past the page cache; one that is not there says so when it is needed. */
export async function canDirectIo(storage: Storage, poolId: PoolId): Promise<boolean> {
  const driver = await driverOf(storage, poolId);
  return driver instanceof DirectoryPool && probeDirectIo({ path: driver.path }).catch(() => false);
}

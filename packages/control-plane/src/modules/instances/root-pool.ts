// In which pool the root disk of an instance lies, and whether there is room for it.
import { VirgaError } from '@virga/contract/errors';
import type { HostId, PoolId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';
import { usableHosts } from '../pools/pool.ts';
import { type PoolView, resolvePool } from '../pools/pool-store.ts';
import { requirePoolRoom } from '../volumes/volume-room.ts';
import type { InstanceRow } from './instance-store.ts';

const field = '/pool';

/** Pools of that name which some host can use. @throws NotFound | InvalidArgument | PoolUnusable */
export async function rootPools(tx: Tx, idOrName: string): Promise<PoolView[]> {
  const pools = await resolvePool(tx, idOrName, { field });
  if (pools.some(({ driver }) => driver === 'rbd')) {
    throw new VirgaError('InvalidArgument', {
      detail: `The pool ${idOrName} is of Ceph, and a root disk lies in a pool that is a folder.`,
      action: 'Choose another pool, or put the data on a volume there.',
      field,
    });
  }
  const usable = pools.filter(({ hosts }) => usableHosts(hosts).length > 0);
  if (usable.length > 0) return usable;
  throw new VirgaError('PoolUnusable', {
    detail: `No host can use the pool ${idOrName} now.`,
    action: 'See why: virga pools show.',
    field,
  });
}

/**
 * Which of the pools the host has, with room for the disk. The storage of the host itself is told as null.
 * @throws StorageFull
 */
export async function chooseRootPool(
  tx: Tx,
  pools: readonly PoolView[] | undefined,
  hostId: HostId,
  diskBytes: number,
): Promise<PoolId | null> {
  const named = pools?.find(({ hosts }) => usableHosts(hosts).some((host) => host.hostId === hostId));
  const own = tx
    .selectFrom('pools')
    .select(['id', 'driver'])
    .where('host_id', '=', hostId)
    .where('driver', '=', 'local');
  const pool = named ?? (await own.executeTakeFirstOrThrow());
  await requirePoolRoom(tx, pool.id, { addBytes: diskBytes, takenBytes: 0 }, '/diskGib');
  return pool.driver === 'local' ? null : pool.id;
}

/** @throws StorageFull the disk does not fit in its pool any more */
export async function requireRootRoom(
  tx: Tx,
  {
    host_id: hostId,
    root_pool_id: poolId,
    disk_bytes: before,
  }: Pick<InstanceRow, 'host_id' | 'root_pool_id' | 'disk_bytes'>,
  diskBytes: number,
): Promise<void> {
  if (diskBytes <= before) return;
  const own = tx.selectFrom('pools').select('id').where('host_id', '=', hostId).where('driver', '=', 'local');
  const id = poolId ?? (await own.executeTakeFirstOrThrow()).id;
  await requirePoolRoom(tx, id, { addBytes: diskBytes - before, takenBytes: 0 }, '/diskGib');
}

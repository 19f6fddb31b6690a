// In which pool the root disk of an instance lies, and whether there is room for it.
import { VirgaError } from '@virga/contract/errors';
import type { HostId, PoolId } from '@virga/contract/ids';
import type { Db, Tx } from '../../store/database.ts';
import type { ImageRow } from '../images/image-store.ts';
import { hasImageCopy, needImageCopy } from '../pools/image-copies.ts';
import { refusePromise, usableHosts } from '../pools/pool.ts';
import { allocatedBytes, type PoolView, resolvePool, selectPools } from '../pools/pool-store.ts';
import { requirePoolRoom } from '../volumes/volume-room.ts';
import type { InstanceRow } from './instance-store.ts';

const field = '/pool';
const roomField = '/diskGib';

/** What is to lie there. */
export type RootDisk = { diskBytes: number; image: ImageRow | null; clone: 'linked' | 'full' };

export type RootPools = {
  /** Of the name that was given, with room, each of other hosts; undefined: the host's own storage. */
  pools?: PoolView[] | undefined;
  /** The only hosts that have one of them; undefined: every one. */
  hostIds: HostId[] | undefined;
};

/**
 * Where it can lie: in pools of that name which some host can use, or in the storage of hosts.
 * @throws NotFound | PoolUnusable | StorageFull none of them has room
 */
export async function rootPools(tx: Tx, idOrName: string | undefined, disk: RootDisk): Promise<RootPools> {
  if (idOrName === undefined) return { hostIds: await hostsWithRoom(tx, disk) };
  const pools = await resolvePool(tx, idOrName, { field });
  const usable = pools.filter(({ hosts }) => usableHosts(hosts).length > 0);
  if (usable.length === 0) {
    throw new VirgaError('PoolUnusable', {
      detail: `No host can use the pool ${idOrName} now.`,
      action: 'See why: virga pools show.',
      field,
    });
  }
  const roomy = await withRoom(tx, usable, disk);
  const having = roomy.flatMap(({ hosts }) => usableHosts(hosts).map(({ hostId }) => hostId));
  return { pools: roomy, hostIds: having };
}

/** Where no limit was set on what may be promised, all have. */
async function hostsWithRoom(tx: Tx, disk: RootDisk): Promise<HostId[] | undefined> {
  const own = await selectPools(tx).where('driver', '=', 'local').where('desired', '!=', 'deleted').execute();
  if (own.every(({ overcommit }) => overcommit === null)) return undefined;
  return (await withRoom(tx, own, disk)).flatMap((pool) => pool.host_id ?? []);
}

/** Those with room. Not held: the one that is chosen is looked at again. @throws StorageFull none has */
async function withRoom(tx: Tx, pools: readonly PoolView[], disk: RootDisk): Promise<PoolView[]> {
  const limited = pools.filter(({ overcommit }) => overcommit !== null);
  const allocated = await allocatedBytes(
    tx,
    limited.map(({ id }) => id),
  );
  const roomy: PoolView[] = [];
  let refusal: unknown;
  for (const pool of pools) {
    try {
      refusePromise(
        pool,
        { allocatedBytes: allocated.get(pool.id) ?? 0, ...(await wanted(tx, pool, disk)) },
        roomField,
      );
      roomy.push(pool);
    } catch (error) {
      refusal ??= error;
    }
  }
  if (roomy.length === 0) throw refusal;
  return roomy;
}

/** In a pool of Ceph it may need a copy of its image, or be one; both take what is in the image at once. */
async function wanted(tx: Tx, { id, driver }: Pick<PoolView, 'id' | 'driver'>, { diskBytes, image, clone }: RootDisk) {
  if (image === null) return { addBytes: diskBytes, takenBytes: 0 };
  const takenBytes = image.file_size_bytes ?? 0;
  if (clone === 'full') return { addBytes: diskBytes, takenBytes };
  if (driver !== 'rbd' || (await hasImageCopy(tx, id, image.id))) return { addBytes: diskBytes, takenBytes: 0 };
  return { addBytes: diskBytes + (image.virtual_size_bytes ?? 0), takenBytes };
}

/**
 * Which of the pools the host has, with room for the disk; what it is to rest on there has its row from now on. The storage
 * of the host itself is told as null.
 * @throws StorageFull
 */
export async function chooseRootPool(
  tx: Tx,
  pools: readonly PoolView[] | undefined,
  hostId: HostId,
  disk: RootDisk,
  now: Date,
): Promise<PoolId | null> {
  const named = pools?.find(({ hosts }) => usableHosts(hosts).some((host) => host.hostId === hostId));
  const own = tx
    .selectFrom('pools')
    .select(['id', 'driver'])
    .where('host_id', '=', hostId)
    .where('driver', '=', 'local');
  const pool = named ?? (await own.executeTakeFirstOrThrow());
  await requirePoolRoom(tx, pool.id, await wanted(tx, pool, disk), roomField);
  if (pool.driver === 'rbd' && disk.image && disk.clone === 'linked') {
    await needImageCopy(tx, pool.id, disk.image.id, now);
  }
  return pool.driver === 'local' ? null : pool.id;
}

/** Undefined: it is none of Ceph. @param id null: the host's own storage */
export async function cephPoolOf(
  db: Db | Tx,
  id: PoolId | null,
): Promise<Pick<PoolView, 'id' | 'name' | 'driver'> | undefined> {
  if (id === null) return undefined;
  const pools = db.selectFrom('pools').select(['id', 'name', 'driver']).where('id', '=', id);
  return pools.where('driver', '=', 'rbd').executeTakeFirst();
}

/** A clone of a root disk lies with the others of its host, or where the original does in Ceph. @throws StorageFull */
export async function requireCloneRoom(
  tx: Tx,
  { root_pool_id: poolId, disk_bytes: addBytes }: Pick<InstanceRow, 'root_pool_id' | 'disk_bytes'>,
): Promise<void> {
  const pool = await cephPoolOf(tx, poolId);
  if (pool !== undefined) await requirePoolRoom(tx, pool.id, { addBytes, takenBytes: 0 }, '');
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
  await requirePoolRoom(tx, id, { addBytes: diskBytes - before, takenBytes: 0 }, roomField);
}

// Copies of images in pools of Ceph, which root disks there are clones of. A row is written with the first instance that needs
// a copy, so that what is made of it has an owner from the start. A copy that no instance has needed for a while goes, and so
// does one that no row owns; while a disk rests on it, Ceph keeps it.
import { VirgaError } from '@virga/contract/errors';
import type { ImageId, PoolId } from '@virga/contract/ids';
import { sql } from 'kysely';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import type { Db, Tx } from '../../store/database.ts';

/** The next launch would have to make it again. */
const keptMs = 3_600_000;

export async function hasImageCopy(tx: Tx, poolId: PoolId, imageId: ImageId): Promise<boolean> {
  const row = tx.selectFrom('image_copies').select('pool_id').where('pool_id', '=', poolId);
  return (await row.where('image_id', '=', imageId).executeTakeFirst()) !== undefined;
}

/** Also holds it until the end of the transaction. */
export async function needImageCopy(tx: Tx, poolId: PoolId, imageId: ImageId, now: Date): Promise<void> {
  await tx
    .insertInto('image_copies')
    .values({ pool_id: poolId, image_id: imageId, needed_at: now })
    .onConflict((conflict) => conflict.columns(['pool_id', 'image_id']).doUpdateSet({ needed_at: now }))
    .execute();
}

/** Of the pools that this host is the first to have, so that each is looked at once. */
export async function reapImageCopies(deps: Deps, host: RegisteredHost, signal: AbortSignal): Promise<void> {
  const { db, clock, cloudId, log } = deps;
  const pools = await poolsOf(db, host);
  if (pools.length === 0) return;
  const now = clock.now();
  await keepNeeded(db, pools, now);
  await db
    .deleteFrom('image_copies')
    .where('pool_id', 'in', pools)
    .where('needed_at', '<', new Date(now.getTime() - keptMs))
    .execute();
  const there = await host.agent.listImageCopies(cloudId, { signal });
  // Asked after the host was: a row is there before its copy.
  const owned = await db.selectFrom('image_copies').select(['pool_id', 'image_id']).execute();
  for (const copy of there.filter(({ poolId }) => pools.includes(poolId))) {
    if (owned.some((row) => row.pool_id === copy.poolId && row.image_id === copy.imageId)) continue;
    try {
      await host.agent.deleteImageCopy(copy, { signal });
      log.info({ image: copy.imageId, pool: copy.poolId }, 'removed a copy of an image that no disk needs');
    } catch (error) {
      // A disk of an instance that is being deleted, or that no row knows of, rests on it.
      if (!(error instanceof VirgaError) || error.code !== 'InUse') throw error;
    }
  }
}

async function poolsOf(db: Db, { id }: RegisteredHost): Promise<PoolId[]> {
  const rows = await db
    .selectFrom('pools')
    .select('id')
    .where('driver', '=', 'rbd')
    .where('desired', '!=', 'deleted')
    .where(
      sql<boolean>`${id} = (
        select min(p.host_id) from pool_hosts p join hosts h on h.id = p.host_id
        where p.pool_id = pools.id and p.converged_generation > 0 and p.failure is null and h.state = 'ready')`,
    )
    .execute();
  return rows.map((row) => row.id);
}

/** Also of instances that a lost database was rebuilt with. */
async function keepNeeded(db: Db, pools: readonly PoolId[], now: Date): Promise<void> {
  await sql`
    insert into image_copies (pool_id, image_id, needed_at)
    select distinct root_pool_id, image_id, ${now}::timestamptz from instances
    where root_pool_id in (${sql.join(pools)}) and image_id is not null and root_clone is distinct from 'full'
    on conflict (pool_id, image_id) do update set needed_at = excluded.needed_at`.execute(db);
}

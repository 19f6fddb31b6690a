// Rows of pools with the hosts that have them: finding one by what people call it, how much of it is promised, and as callers
// are told.
import { VirgaError } from '@virga/contract/errors';
import type { HostId, PoolId } from '@virga/contract/ids';
import type { Pool } from '@virga/contract/rest/pools';
import { sql } from 'kysely';
import type { Db, Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { isUsable, type PoolHostView, type PoolRow, poolState } from './pool.ts';

export type PoolView = PoolRow & { hosts: PoolHostView[]; storage_path: string | null };

export const selectPools = (db: Db | Tx) =>
  db
    .selectFrom('pools')
    .selectAll('pools')
    .select([
      sql<PoolHostView[]>`(
        select coalesce(json_agg(json_build_object('hostId', h.id, 'hostName', h.name, 'hostState', h.state,
          'convergedGeneration', p.converged_generation, 'failure', p.failure, 'abilities', p.abilities)
          order by h.name), '[]'::json)
        from pool_hosts p join hosts h on h.id = p.host_id where p.pool_id = pools.id)`.as('hosts'),
      sql<string | null>`(select h.facts->>'storagePath' from hosts h where h.id = pools.host_id)`.as('storage_path'),
    ]);

/**
 * A pool by id or name. A name may be that of several, each of another host: then the one that `hostId` has.
 * @throws NotFound
 */
export async function resolvePool(
  db: Db | Tx,
  idOrName: string,
  { hostId, field }: { hostId?: HostId | undefined; field?: string | undefined } = {},
): Promise<PoolView[]> {
  let query = selectPools(db)
    .where((where) => where.or([where('id', '=', idOrName as PoolId), where('name', '=', idOrName)]))
    .where('desired', '!=', 'deleted');
  if (hostId !== undefined) {
    query = query.where('id', 'in', (has) =>
      has.selectFrom('pool_hosts').select('pool_id').where('host_id', '=', hostId),
    );
  }
  const found = await query
    .orderBy('free_bytes', (by) => by.desc().nullsLast())
    .orderBy('id')
    .execute();
  if (found.length > 0) return found;
  throw poolNotFound(idOrName, field, hostId !== undefined);
}

export const poolNotFound = (idOrName: string, field?: string, onHost = false): VirgaError =>
  new VirgaError('NotFound', {
    detail: onHost ? `The host has no pool ${idOrName}.` : `There is no pool ${idOrName}.`,
    action: 'List pools with virga pools list.',
    field,
  });

/** Sizes of all that lies in a pool, as guests see them: volumes, disks of instances, and copies of images. */
export async function allocatedBytes(db: Db | Tx, ids: readonly PoolId[]): Promise<Map<PoolId, number>> {
  if (ids.length === 0) return new Map();
  const volumes = await db
    .selectFrom('volumes')
    .select((select) => ['pool_id', select.fn.sum<number>('size_bytes').as('bytes')])
    .where('pool_id', 'in', ids)
    .groupBy('pool_id')
    .execute();
  // What is on its way there.
  const moves = await db
    .selectFrom('volume_moves')
    .innerJoin('volumes', 'volumes.id', 'volume_moves.volume_id')
    .select((select) => ['volume_moves.pool_id', select.fn.sum<number>('volumes.size_bytes').as('bytes')])
    .where('volume_moves.pool_id', 'in', ids)
    .whereRef('volume_moves.pool_id', '!=', 'volumes.pool_id')
    .groupBy('volume_moves.pool_id')
    .execute();
  const rootMoves = await db
    .selectFrom('root_disk_moves')
    .innerJoin('instances', 'instances.id', 'root_disk_moves.instance_id')
    .leftJoin('pools', (join) => join.onRef('pools.host_id', '=', 'instances.host_id').on('pools.driver', '=', 'local'))
    .select((select) => ['root_disk_moves.pool_id', select.fn.sum<number>('instances.disk_bytes').as('bytes')])
    .where('root_disk_moves.pool_id', 'in', ids)
    .where((where) =>
      where(where.ref('root_disk_moves.pool_id'), '!=', where.fn.coalesce('instances.root_pool_id', 'pools.id')),
    )
    .groupBy('root_disk_moves.pool_id')
    .execute();
  const disks = await db
    .selectFrom('pools')
    .innerJoin('instances', (join) =>
      join.on((on) =>
        on.or([
          on('instances.root_pool_id', '=', on.ref('pools.id')),
          on.and([
            on('instances.root_pool_id', 'is', null),
            on('pools.driver', '=', 'local'),
            on('instances.host_id', '=', on.ref('pools.host_id')),
          ]),
        ]),
      ),
    )
    .select((select) => ['pools.id as pool_id', select.fn.sum<number>('instances.disk_bytes').as('bytes')])
    .where('pools.id', 'in', ids)
    .groupBy('pools.id')
    .execute();
  const copies = await db
    .selectFrom('image_copies')
    .innerJoin('images', 'images.id', 'image_copies.image_id')
    .select((select) => ['pool_id', select.fn.sum<number>('images.virtual_size_bytes').as('bytes')])
    .where('pool_id', 'in', ids)
    .groupBy('pool_id')
    .execute();
  const sums = new Map<PoolId, number>();
  for (const { pool_id: id, bytes } of [...volumes, ...moves, ...rootMoves, ...disks, ...copies])
    sums.set(id, (sums.get(id) ?? 0) + Number(bytes));
  return sums;
}

/** Sent when, and only when, the transaction commits. */
export const wakePool = (tx: Tx, id: PoolId): Promise<void> => notify(tx, 'pools', id);

export function toPool(row: PoolView, allocated: number): Pool {
  const failed = row.hosts.find(({ failure }) => failure !== null)?.failure;
  const state = poolState(row, row.hosts);
  return {
    id: row.id,
    name: row.name,
    driver: row.driver === 'local' ? 'directory' : row.driver,
    path: row.path ?? row.storage_path,
    ceph: row.ceph,
    state,
    stateReason: state !== 'ready' && failed ? `${failed.detail} ${failed.action}` : null,
    hosts: row.hosts.map((host) => ({
      hostId: host.hostId,
      hostName: host.hostName,
      isReady: isUsable(host),
      reason: host.failure && `${host.failure.detail} ${host.failure.action}`,
      abilities: host.abilities,
    })),
    capacityBytes: row.capacity_bytes,
    freeBytes: row.free_bytes,
    allocatedBytes: allocated,
    overcommit: row.overcommit,
    lowSpacePercent: row.low_space_percent,
    isLow: row.is_low,
    isDefault: row.is_default,
    generation: row.generation,
    createdAt: row.created_at.toISOString(),
  };
}

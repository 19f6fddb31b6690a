// The pool that a disk is to be moved to: another one that its host has, and can use now.
import { VirgaError } from '@virga/contract/errors';
import type { HostId, PoolId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';
import { usableHosts } from './pool.ts';
import { type PoolView, resolvePool } from './pool-store.ts';

const field = '/pool';

export type PresentPlace = {
  pool_id: PoolId;
  pool_driver: string;
  host_id: HostId;
  host_name: string;
};

/** @param disk as people know it, such as `Volume data` @throws NotFound | InvalidArgument | PoolUnusable */
export async function targetPool(tx: Tx, disk: string, present: PresentPlace, idOrName: string): Promise<PoolView> {
  const [pool] = await resolvePool(tx, idOrName, { hostId: present.host_id, field });
  if (pool!.id === present.pool_id) {
    throw new VirgaError('InvalidArgument', {
      detail: `${disk} lies in the pool ${pool!.name} already.`,
      action: 'Name another pool: virga pools.',
      field,
    });
  }
  if (pool!.ceph !== null && present.pool_driver === 'rbd')
    await refuseSameCephPool(tx, disk, present, pool!.ceph.pool);
  if (usableHosts(pool!.hosts).some(({ hostId }) => hostId === present.host_id)) return pool!;
  const why = pool!.hosts.find(({ hostId }) => hostId === present.host_id)?.failure;
  throw new VirgaError('PoolUnusable', {
    detail: `Host ${present.host_name} cannot use the pool ${pool!.name} now${why ? `: ${why.detail}` : '.'}`,
    action: why?.action ?? 'Try again in a moment, or see virga pools show.',
    field,
  });
}

/** Its image has one name in both: whether they are two could not be told. */
async function refuseSameCephPool(tx: Tx, disk: string, { pool_id: poolId }: PresentPlace, cephPool: string) {
  const { ceph } = await tx.selectFrom('pools').select('ceph').where('id', '=', poolId).executeTakeFirstOrThrow();
  if (ceph?.pool !== cephPool) return;
  throw new VirgaError('InvalidArgument', {
    detail: `${disk} lies in a pool ${cephPool} of Ceph, and would go into another one of that name.`,
    action: 'Move it by way of a pool that is a folder.',
    field,
  });
}

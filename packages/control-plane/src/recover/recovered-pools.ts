// Storage pools of a lost database, as the hosts that have them keep them.
import type { FoundPool } from '@virga/contract/agent/pools';
import type { HostId } from '@virga/contract/ids';
import type { KeptPool } from '../modules/pools/pool.ts';
import type { Tx } from '../store/database.ts';

/** Each host that has a pool shows it; the first one brings its row. */
export async function recoverPools(
  tx: Tx,
  { id: hostId, pools }: { id: HostId; pools: readonly FoundPool[] },
): Promise<void> {
  for (const { id, name, generation, place, keepsake } of pools) {
    const {
      createdAt,
      overcommit = null,
      lowSpacePercent = 10,
      isDefault = false,
      keySealed,
    } = keepsake as Partial<KeptPool>;
    const ofCeph = place.driver === 'rbd';
    await tx
      .insertInto('pools')
      .values({
        id,
        name,
        driver: place.driver,
        host_id: place.driver === 'directory' ? hostId : null,
        path: ofCeph ? null : place.path,
        ceph: ofCeph ? JSON.stringify({ monitors: place.monitors, pool: place.cephPool, user: place.user }) : null,
        key_sealed: keySealed ? Buffer.from(keySealed, 'base64') : null,
        generation,
        opened: true,
        overcommit,
        low_space_percent: lowSpacePercent,
        is_default: isDefault,
        capacity_bytes: null,
        free_bytes: null,
        ...(createdAt && { created_at: new Date(createdAt) }),
      })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute();
    await tx
      .insertInto('pool_hosts')
      .values({ pool_id: id, host_id: hostId, converged_generation: generation })
      .execute();
  }
}

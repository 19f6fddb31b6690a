// Volumes that no snapshot can be put on: what is written afterwards would go to a file without their encryption, or their
// disk is no file at all.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';

/** @throws Conflict one of them is encrypted, or lies in a Ceph pool */
export async function refuseUnlayered(tx: Tx, volumes: readonly { id: VolumeId }[]): Promise<void> {
  if (volumes.length === 0) return;
  const ids = volumes.map(({ id }) => id);
  const found = await tx
    .selectFrom('volumes')
    .innerJoin('pools', 'pools.id', 'volumes.pool_id')
    .select(['volumes.name', 'pools.driver'])
    .where('volumes.id', 'in', ids)
    .where((where) => where.or([where('volumes.passphrase_sealed', 'is not', null), where('pools.driver', '=', 'rbd')]))
    .limit(1)
    .executeTakeFirst();
  if (!found) return;
  throw new VirgaError('Conflict', {
    detail:
      found.driver === 'rbd'
        ? `Volume ${found.name} lies in a Ceph pool, where Virga takes no snapshots.`
        : `Volume ${found.name} is encrypted, and what is written after a snapshot would not be.`,
    action: 'Detach it for as long as the snapshot is to be kept.',
  });
}

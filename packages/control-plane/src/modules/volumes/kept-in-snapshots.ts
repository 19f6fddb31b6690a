// Snapshots that a volume is part of: it cannot go before them. They belong to a module that comes later; here they are only
// read.
import { VirgaError } from '@virga/contract/errors';
import { sql } from 'kysely';
import type { Tx } from '../../store/database.ts';
import type { VolumeRow } from './volume-store.ts';

/** @throws InUse */
export async function refuseInSnapshots(tx: Tx, { id, name }: Pick<VolumeRow, 'id' | 'name'>): Promise<void> {
  const kept = await tx
    .selectFrom('snapshots')
    .select('name')
    .where(sql<boolean>`disks @> ${JSON.stringify([{ id }])}::jsonb`)
    .orderBy('created_at')
    .limit(1)
    .executeTakeFirst();
  if (kept === undefined) return;
  throw new VirgaError('InUse', {
    detail: `The snapshot ${kept.name} is of the volume ${name} too.`,
    action: `Delete it first: virga snapshots delete ${kept.name}`,
  });
}

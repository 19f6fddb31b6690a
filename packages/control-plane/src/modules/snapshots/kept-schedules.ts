// What hosts keep of schedules of snapshots, so that a lost database gets them back. Left out is what follows from the rest: when
// one runs next.
import type { HostId } from '@virga/contract/ids';
import type { Selectable } from 'kysely';
import type { Db, Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';

export type KeptSnapshotSchedule = Omit<
  Selectable<Database['snapshot_schedules']>,
  'user_id' | 'next_run_at' | 'created_at'
> & { created_at: string };

/** Of the instances of a host. */
export async function keptSnapshotSchedules(db: Db | Tx, hostId: HostId): Promise<KeptSnapshotSchedule[]> {
  const rows = await db
    .selectFrom('snapshot_schedules')
    .innerJoin('instances', 'instances.id', 'snapshot_schedules.instance_id')
    .selectAll('snapshot_schedules')
    .where('instances.host_id', '=', hostId)
    .orderBy('snapshot_schedules.id')
    .execute();
  return rows.map(({ user_id: _, next_run_at: __, created_at, ...row }) => ({
    ...row,
    created_at: created_at.toISOString(),
  }));
}

// What hosts keep of backup stores and schedules, so that a lost database gets them back: secrets as they are sealed, for the key that
// opens them is in no database.
import type { HostId } from '@virga/contract/ids';
import type { Selectable } from 'kysely';
import type { Db, Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';

type StoreRow = Selectable<Database['backup_stores']>;

export type KeptBackupStore = Pick<StoreRow, 'id' | 'name' | 'place' | 'host_id' | 'limit_bytes_per_second'> & {
  /** base64 */
  password: string;
  s3Keys: string | null;
  created_at: string;
};

export type KeptBackupSchedule = Omit<
  Selectable<Database['backup_schedules']>,
  'user_id' | 'next_run_at' | 'created_at'
> & {
  created_at: string;
};

export async function keptBackupStores(db: Db | Tx): Promise<KeptBackupStore[]> {
  const rows = await db.selectFrom('backup_stores').selectAll().orderBy('id').execute();
  return rows.map(({ id, name, place, host_id, limit_bytes_per_second, ...row }) => ({
    ...{ id, name, place, host_id, limit_bytes_per_second },
    password: row.password_sealed.toString('base64'),
    s3Keys: row.s3_keys_sealed?.toString('base64') ?? null,
    created_at: row.created_at.toISOString(),
  }));
}

/** Of the instances of a host. */
export async function keptBackupSchedules(db: Db | Tx, hostId: HostId): Promise<KeptBackupSchedule[]> {
  const rows = await db
    .selectFrom('backup_schedules')
    .innerJoin('instances', 'instances.id', 'backup_schedules.instance_id')
    .selectAll('backup_schedules')
    .where('instances.host_id', '=', hostId)
    .orderBy('backup_schedules.id')
    .execute();
  return rows.map(({ user_id: _, next_run_at: __, created_at, ...row }) => ({
    ...row,
    created_at: created_at.toISOString(),
  }));
}

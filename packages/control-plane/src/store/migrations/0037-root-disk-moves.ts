// Moves of root disks between pools, and where the folder of an instance stays whose disk was moved.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table root_disk_moves (
      instance_id text primary key references instances on delete cascade,
      -- By which the host knows it.
      token text not null,
      operation_id text not null,
      pool_id text not null references pools,
      bandwidth_bytes_per_second bigint check (bandwidth_bytes_per_second > 0),
      wipe boolean not null,
      is_cancelled boolean not null default false,
      -- It is not cancelled any more.
      is_switching boolean not null default false
    );
    create index root_disk_moves_pool on root_disk_moves (pool_id);
    -- Its folder is where it was launched: in that pool, or else in the storage of the host.
    alter table instances add column root_moved boolean not null default false;
    alter table instances add column folder_pool_id text references pools;
    create index instances_folder_pool on instances (folder_pool_id) where folder_pool_id is not null;
  `.execute(db);
}

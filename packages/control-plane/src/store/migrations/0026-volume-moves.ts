// Moves of volumes between pools: where each is on its way to, from before anything of it is there until the old place is gone.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table volume_moves (
      volume_id text primary key references volumes on delete cascade,
      -- By which the host knows it.
      token text not null,
      operation_id text not null,
      pool_id text not null references pools,
      format text not null check (format in ('qcow2', 'raw')),
      bandwidth_bytes_per_second bigint check (bandwidth_bytes_per_second > 0),
      wipe boolean not null,
      is_cancelled boolean not null default false,
      -- It is not cancelled any more.
      is_switching boolean not null default false
    );
    create index volume_moves_pool on volume_moves (pool_id);
  `.execute(db);
}

// What snapshots keep beside the disks, and which deletions are cancelled.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table snapshots
      -- Those of earlier versions keep nothing of it.
      add machine_state jsonb not null default '[]',
      add is_deletion_cancelled boolean not null default false;
  `.execute(db);
}

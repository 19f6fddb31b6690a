// What snapshots keep beside the disks, and that the deletion of one is cancelled.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Snapshots of earlier versions keep nothing of it.
    alter table snapshots add machine_state jsonb not null default '[]';
  `.execute(db);
}

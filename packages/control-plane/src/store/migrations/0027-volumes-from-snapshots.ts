// Volumes that are made as copies of what snapshots keep.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Which disk of which snapshot of which instance, all of which may be gone by now.
    alter table volumes add column snapshot jsonb;
    -- Those that are still being made need theirs.
    create index volumes_of_snapshots on volumes ((snapshot ->> 'id'))
      where snapshot is not null and converged_generation = 0;
  `.execute(db);
}

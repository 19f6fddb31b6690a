// How hosts are to be tuned, and how they are.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table host_tunings (
      host_id text primary key references hosts (id) on delete cascade,
      generation integer not null default 1,
      converged_generation integer not null default 0,
      -- Null: nothing of ours.
      desired jsonb,
      -- What is in force: that is what it goes back to when the host refuses.
      settled jsonb,
      failure jsonb,
      -- The boot of the host that it was last seen to be in force.
      boot_id text,
      applied_at timestamptz(3)
    );
  `.execute(db);
}

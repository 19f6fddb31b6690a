// What to do about a host that cannot be used, apart from why, so that a refused request can say both in their places.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table hosts add column state_action text`.execute(db);
}

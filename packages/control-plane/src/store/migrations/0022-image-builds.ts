// Images that hosts make: of what, where, and what came of it.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table image_builds (
      image_id text primary key references images on delete cascade,
      -- Where it is made, and then is.
      host_id text not null references hosts on delete cascade,
      -- A recipe, another image or an instance, which may be gone by now.
      made_from jsonb not null,
      seal boolean not null,
      -- Null: it is still being made.
      record jsonb
    );
  `.execute(db);
}

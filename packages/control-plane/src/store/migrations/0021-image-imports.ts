// Images that are downloaded or sent: what is still on its way, and what was found out about what came.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table images add column verification jsonb;

    create table image_imports (
      image_id text primary key references images on delete cascade,
      -- Where its bytes come together.
      host_id text not null references hosts,
      -- Of one that is sent.
      size_bytes bigint check (size_bytes > 0),
      -- Null: it has not all been sent.
      operation_id text,
      is_cancelled boolean not null default false,
      touched_at timestamptz not null
    );
    create index image_imports_unsent on image_imports (touched_at) where operation_id is null;
  `.execute(db);
}

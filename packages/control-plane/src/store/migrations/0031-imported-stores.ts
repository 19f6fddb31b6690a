// Whether the backups that lie in a backup store are known. Of a store that was opened, or that a lost database had, they are not until
// somebody has looked; nothing is removed from it before that.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table backup_stores add column imported boolean not null default true;
    alter table backup_stores alter column imported set default false;
  `.execute(db);
}

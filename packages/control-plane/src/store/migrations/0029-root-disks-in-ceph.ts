// Root disks in pools of Ceph, copies of images there that they rest on, and the pool that a type names.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    -- Written before a host makes one; a copy without a row is nobody's.
    create table image_copies (
      pool_id text not null references pools on delete cascade,
      image_id text not null references images on delete cascade,
      -- When a disk that rests on it was last asked for, or seen.
      needed_at timestamptz not null,
      primary key (pool_id, image_id)
    );
    create index image_copies_image on image_copies (image_id);
    -- Null, as of a clone of an instance: it is made otherwise, or linked.
    alter table instances add column root_clone text check (root_clone in ('linked', 'full'));
    alter table instance_types add column pool text;
  `.execute(db);
}

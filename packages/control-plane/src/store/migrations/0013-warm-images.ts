// Templates of running guests for instant launches, and the copies of them that wait to become instances.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table images add column warmable boolean not null default false;

    create table image_templates (
      id text primary key,
      image_id text not null constraint image_templates_image references images,
      host_id text not null references hosts,
      type text not null,
      vcpus integer not null,
      memory_mib integer not null,
      disk_bytes bigint not null,
      pool integer not null check (pool >= 0),
      -- A dropped one stays until the last disk that rests on it is gone.
      desired text not null default 'kept' check (desired in ('kept', 'dropped')),
      state text not null default 'pending' check (state in ('pending', 'ready', 'failed')),
      failure jsonb,
      failures integer not null default 0,
      retry_at timestamptz,
      created_at timestamptz(3) not null default now()
    );
    create unique index image_templates_one on image_templates (image_id, type, host_id) where desired = 'kept';
    create index image_templates_host on image_templates (host_id);

    -- Each is an instance that does not exist yet: its id is the instance's.
    create table template_shells (
      instance_id text primary key,
      template_id text not null references image_templates on delete cascade,
      host_id text not null references hosts,
      state text not null default 'pending' check (state in ('pending', 'ready'))
    );
    create index template_shells_template on template_shells (template_id, state);

    alter table instances
      -- Of what it was to be a copy; the template may be gone.
      add column template_id text,
      add column launch_path text not null default 'cold' check (launch_path in ('cold', 'warm'));
  `.execute(db);
}

// Volumes, what instances have of them, and limits of disks and network interfaces. That a volume is in one instance only is
// a primary key; that a place in an instance is taken once, a constraint.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table volumes (
      id text primary key,
      project_id text not null references projects,
      name text not null,
      size_bytes bigint not null check (size_bytes > 0),
      host_id text not null references hosts,
      desired text not null default 'available' check (desired in ('available', 'deleted')),
      generation bigint not null default 1,
      converged_generation bigint not null default 0,
      -- It was seen to be gone from its host, or to be refused there.
      failure jsonb,
      created_at timestamptz(3) not null default now(),
      constraint volumes_name_taken unique (project_id, name)
    );
    create index volumes_page on volumes (project_id, created_at, id);
    create index volumes_host on volumes (host_id);
    create index volumes_unconverged on volumes (id) where converged_generation <> generation or desired = 'deleted';

    create table volume_attachments (
      volume_id text constraint volume_attachments_one_instance primary key references volumes,
      instance_id text not null references instances on delete cascade,
      target text not null check (target ~ '^vd[c-z]$'),
      read_only boolean not null,
      limits jsonb,
      -- The generation of the instance that asked for it, or for its end.
      generation bigint not null,
      detaching boolean not null default false,
      delete_with_instance boolean not null default false,
      constraint volume_attachments_target unique (instance_id, target)
    );

    alter table nics
      add column limits jsonb,
      add column generation bigint not null default 1,
      add column detaching boolean not null default false,
      -- In which order they were added; the first one has the default route.
      add column position integer not null default 0;

    alter table instances add column root_disk_limits jsonb;
  `.execute(db);
}

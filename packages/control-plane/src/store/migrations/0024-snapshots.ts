// Snapshots of instances, schedules that take them, and clones whose disks rest on them.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table snapshot_schedules (
      id text primary key,
      instance_id text not null references instances on delete cascade,
      cron text not null,
      time_zone text not null,
      keep integer not null check (keep > 0),
      memory boolean not null,
      next_run_at timestamptz not null,
      user_id text references users on delete set null,
      user_name text not null,
      created_at timestamptz(3) not null default now()
    );
    create index snapshot_schedules_due on snapshot_schedules (next_run_at);
    create index snapshot_schedules_instance on snapshot_schedules (instance_id);

    create table snapshots (
      id text primary key,
      project_id text not null references projects,
      name text not null,
      instance_id text not null references instances on delete cascade,
      host_id text not null references hosts,
      -- One that was taken for a clone goes with the last instance that rests on it.
      purpose text not null default 'kept' check (purpose in ('kept', 'clone')),
      schedule_id text references snapshot_schedules on delete set null,
      is_protected boolean not null default false,
      memory boolean not null,
      state text not null default 'creating' check (state in ('creating', 'available', 'deleting', 'error')),
      failure jsonb,
      consistency text,
      disks jsonb not null default '[]',
      taken_at timestamptz(3),
      created_at timestamptz(3) not null default now(),
      constraint snapshots_name_taken unique (project_id, name)
    );
    create index snapshots_page on snapshots (project_id, created_at, id);
    create index snapshots_instance on snapshots (instance_id);
    create index snapshots_for_clones on snapshots (id) where purpose = 'clone';
    create index snapshots_schedule on snapshots (schedule_id, created_at) where schedule_id is not null;

    create table linked_clones (
      instance_id text primary key references instances on delete cascade,
      snapshot_id text not null references snapshots on delete restrict
    );
    create index linked_clones_snapshot on linked_clones (snapshot_id);
  `.execute(db);
}

// Backup stores, the backups in them, and the schedules that make backups. What opens a store is sealed. A backup outlives its
// instance, so it refers to none; one that others rest on cannot be deleted.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table backup_stores (
      id text primary key,
      name text not null constraint backup_stores_name_taken unique,
      place jsonb not null,
      -- Null: every host sees it.
      host_id text references hosts,
      password_sealed bytea not null,
      s3_keys_sealed bytea,
      limit_bytes_per_second bigint check (limit_bytes_per_second > 0),
      state text not null default 'pending' check (state in ('pending', 'available', 'unreachable', 'damaged', 'deleting')),
      state_reason text,
      size_bytes bigint,
      checked_at timestamptz(3),
      created_at timestamptz(3) not null default now()
    );
    create index backup_stores_page on backup_stores (created_at, id);

    create table backup_schedules (
      id text primary key,
      project_id text not null references projects,
      instance_id text not null references instances on delete cascade,
      store_id text not null references backup_stores,
      cron text not null,
      time_zone text not null,
      retention jsonb not null,
      chain_limit integer not null check (chain_limit > 0),
      freezes boolean not null,
      next_run_at timestamptz(3) not null,
      -- Whose role decides whether it may run; null when that user is gone.
      user_id text references users on delete set null,
      user_name text not null,
      created_at timestamptz(3) not null default now()
    );
    create index backup_schedules_page on backup_schedules (instance_id, created_at, id);
    create index backup_schedules_due on backup_schedules (next_run_at);

    create table backups (
      id text primary key,
      project_id text not null references projects,
      store_id text not null references backup_stores,
      instance_id text not null,
      instance_name text not null,
      host_id text not null references hosts,
      schedule_id text references backup_schedules on delete set null,
      state text not null default 'pending' check (state in ('pending', 'available', 'deleting')),
      cancelled boolean not null default false,
      full_asked boolean not null,
      freezes boolean not null,
      full_reason text,
      parent_id text references backups,
      -- It can be rested on: what has changed since is recorded on the host.
      recorded boolean not null default false,
      frozen boolean,
      taken_at timestamptz(3),
      disks jsonb not null default '[]',
      settings_snapshot_id text,
      added_bytes bigint,
      -- What is needed to make an instance of it.
      machine jsonb not null,
      verified jsonb,
      -- Its disks lie on a host, to be looked into, until then.
      opened jsonb,
      opened_until timestamptz(3),
      created_at timestamptz(3) not null default now()
    );
    create index backups_page on backups (project_id, created_at, id);
    create index backups_of_instance on backups (instance_id, store_id, created_at);
    create index backups_parent on backups (parent_id);
    create index backups_store on backups (store_id);
    create index backups_schedule on backups (schedule_id) where schedule_id is not null;
    create index backups_open on backups (opened_until) where opened_until is not null;

    -- A disk that was fetched from a backup store, which becomes this one when it is first made.
    alter table instances add column root_disk_restored jsonb;
    alter table volumes add column restored jsonb;
  `.execute(db);
}

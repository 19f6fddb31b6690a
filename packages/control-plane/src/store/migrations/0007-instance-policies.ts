// What instances are called and what becomes of them when nobody looks: tags, protection, restarts, expiry, schedules. A
// host remembers the boot that its instances have been looked after for.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table instances
      -- The generation that last asked for another power state, or for a reboot.
      add column power_generation bigint not null default 1,
      add column description text not null default '',
      add column tags jsonb not null default '{}' check (jsonb_typeof(tags) = 'object'),
      add column delete_protection boolean not null default false,
      add column autostart text not null default 'restore' check (autostart in ('restore', 'always', 'never')),
      add column crash_policy text not null default 'restart' check (crash_policy in ('restart', 'stop')),
      add column expires_at timestamptz(3),
      add column expiry_action text check (expiry_action in ('stop', 'delete')),
      -- When the warning is due, then when the expiry is.
      add column expiry_due_at timestamptz(3),
      add constraint instances_expiry check ((expires_at is null) = (expiry_action is null)
        and (expires_at is null) = (expiry_due_at is null)),
      add constraint instances_protected check (not (delete_protection and expiry_action = 'delete'));

    update instances set power_generation = generation;

    -- Most instances have no tags, and change often.
    create index instances_tags on instances using gin (tags) where tags <> '{}';
    create index instances_expiry_due on instances (expiry_due_at) where expiry_due_at is not null;

    alter table hosts add column boot_id text;

    create table instance_schedules (
      id text primary key,
      instance_id text not null references instances on delete cascade,
      action text not null,
      cron text not null,
      time_zone text not null,
      next_run_at timestamptz(3) not null,
      -- Whose role decides. The name stays when the user goes.
      user_id text references users on delete set null,
      user_name text not null,
      created_at timestamptz(3) not null default now()
    );
    create index instance_schedules_page on instance_schedules (instance_id, created_at, id);
    create index instance_schedules_due on instance_schedules (next_run_at);
    create index instance_schedules_user on instance_schedules (user_id);
  `.execute(db);
}

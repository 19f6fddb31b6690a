// What hosts and instances have used over time: samples, and averages over five minutes and over hours. Each is a partition of
// its own, whose rows come and go in the order of their time. What is written is a rate over the seconds that a row covers.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table host_usage (
      host_id text not null references hosts on delete cascade,
      at timestamptz not null,
      -- Minutes; a sample has 1, whatever the time between samples is.
      step smallint not null,
      seconds real not null,
      threads real not null,
      cpus_busy real not null,
      cpus_busy_max real not null,
      busiest_cpu real not null,
      cpus_stolen real not null,
      load real not null,
      memory_mib real not null,
      memory_used_mib real not null,
      memory_used_mib_max real not null,
      swap_used_mib real not null,
      -- Null: its storage is on no device that counts.
      read_bytes real,
      written_bytes real,
      disk_requests real,
      disk_busy real,
      received_bytes real not null,
      sent_bytes real not null,
      -- Null: its kernel does not tell.
      cpu_pressure real,
      memory_pressure real,
      io_pressure real,
      primary key (host_id, step, at)
    ) partition by list (step);

    -- Without a reference to the instance, which may be gone before its history is.
    create table instance_usage (
      instance_id text not null,
      at timestamptz not null,
      step smallint not null,
      seconds real not null,
      vcpus real not null,
      cpus real not null,
      cpus_max real not null,
      -- The highest average over five minutes.
      cpus_high real not null,
      cpus_waiting real,
      memory_mib real not null,
      -- Null: the guest does not tell.
      memory_used_mib real,
      memory_used_mib_max real,
      resident_mib real,
      read_bytes real,
      written_bytes real,
      disk_requests real,
      received_bytes real,
      sent_bytes real,
      primary key (instance_id, step, at)
    ) partition by list (step);

    create table host_usage_1 partition of host_usage for values in (1);
    create table host_usage_5 partition of host_usage for values in (5);
    create table host_usage_60 partition of host_usage for values in (60);
    create table instance_usage_1 partition of instance_usage for values in (1);
    create table instance_usage_5 partition of instance_usage for values in (5);
    create table instance_usage_60 partition of instance_usage for values in (60);
    create index host_usage_at on host_usage using brin (at) with (pages_per_range = 16);
    create index instance_usage_at on instance_usage using brin (at) with (pages_per_range = 16);

    -- Up to when rows of a step have been made from those of the step below.
    create table usage_progress (
      step smallint primary key,
      until timestamptz not null
    );
  `.execute(db);
}

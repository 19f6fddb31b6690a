// Which host CPUs belong to which instance, and in which NUMA node instances are at home. No CPU of a host can have two
// owners: the key forbids it. The rows of an instance are written before its own, in the same transaction.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table hosts
      -- CPUs that the host keeps for itself.
      add column reserved_cpus jsonb not null default '[]',
      -- vCPUs that may be promised for each shared CPU, as they were when schedulable_vcpus was last written.
      add column vcpus_per_cpu real not null default 4,
      -- Grows whenever its CPUs are divided otherwise; the second is what the host has been told.
      add column cpu_generation bigint not null default 1,
      add column cpu_converged_generation bigint not null default 0;

    create table host_cpus (
      host_id text not null references hosts on delete cascade,
      cpu integer not null check (cpu >= 0),
      -- Who goes gives them back in the same transaction, so that the sums of the host follow.
      instance_id text not null constraint host_cpus_instance references instances deferrable initially deferred,
      -- The vCPU that runs there; null for a sibling that is left idle.
      vcpu integer check (vcpu >= 0),
      constraint host_cpus_one_owner primary key (host_id, cpu),
      constraint host_cpus_one_place unique (instance_id, vcpu)
    );
    create index host_cpus_instance_id on host_cpus (instance_id);

    create table instance_nodes (
      instance_id text primary key references instances deferrable initially deferred,
      host_id text not null references hosts on delete cascade,
      node integer not null check (node >= 0)
    );
    create index instance_nodes_host on instance_nodes (host_id);

    alter table instance_types
      add column cpu_policy text not null default 'shared'
        check (cpu_policy in ('shared', 'dedicated', 'numa', 'isolated')),
      add column cpu_shares integer check (cpu_shares between 1 and 10000),
      add column cpu_cap_percent integer check (cpu_cap_percent between 1 and 100);

    alter table instances
      add column cpu_policy text not null default 'shared'
        check (cpu_policy in ('shared', 'dedicated', 'numa', 'isolated')),
      add column cpu_shares integer check (cpu_shares between 1 and 10000),
      add column cpu_cap_percent integer check (cpu_cap_percent between 1 and 100),
      -- The host CPUs that an administrator has chosen for it; null: placement chooses.
      add column cpu_wanted jsonb;
  `.execute(db);
}

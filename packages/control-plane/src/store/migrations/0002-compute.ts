// Hosts, instance types, images, networks, addresses, instances. The constraints keep what no code path may break:
// names are unique, an address has one holder, a host is never promised more than it has.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table hosts (
      id text primary key,
      name text not null constraint hosts_name_taken unique,
      driver text not null check (driver in ('libvirt', 'simulated')),
      state text not null check (state in ('ready', 'unreachable')),
      state_reason text,
      facts jsonb,
      schedulable_vcpus integer not null default 0,
      schedulable_memory_mib integer not null default 0,
      allocated_vcpus integer not null default 0 check (allocated_vcpus >= 0),
      allocated_memory_mib integer not null default 0 check (allocated_memory_mib >= 0),
      storage_headroom_bytes bigint not null default 0,
      last_seen_at timestamptz,
      created_at timestamptz(3) not null default now()
    );
    create index hosts_room on hosts ((schedulable_memory_mib - allocated_memory_mib) desc) where state = 'ready';

    create table instance_types (
      name text primary key,
      vcpus integer not null,
      memory_mib integer not null,
      disk_gib integer not null
    );

    create table images (
      id text primary key,
      project_id text not null references projects,
      name text not null,
      visibility text not null check (visibility in ('private', 'public')),
      state text not null check (state in ('pending', 'available', 'failed', 'deleting')),
      state_reason text,
      format text not null check (format in ('qcow2', 'raw')),
      virtual_size_bytes bigint,
      file_size_bytes bigint,
      sha256 text,
      default_user text not null,
      minimum_memory_mib integer not null,
      source jsonb not null,
      created_at timestamptz(3) not null default now(),
      constraint images_name_taken unique (project_id, name)
    );
    create index images_public on images (name) where visibility = 'public';
    create index images_page on images (project_id, created_at, id);

    create table networks (
      id text primary key,
      project_id text not null references projects,
      name text not null,
      visibility text not null check (visibility in ('private', 'public')),
      cidr cidr not null,
      gateway inet not null,
      bridge text not null constraint networks_bridge unique,
      uuid uuid not null,
      generation bigint not null default 1,
      converged_generation bigint not null default 0,
      desired text not null default 'active' check (desired in ('active', 'deleted')),
      failure jsonb,
      created_at timestamptz(3) not null default now(),
      constraint networks_name_taken unique (project_id, name),
      constraint networks_overlap exclude using gist (cidr inet_ops with &&)
    );

    create index networks_unconverged on networks (id) where converged_generation <> generation or desired = 'deleted';

    create table instances (
      id text primary key,
      project_id text not null references projects,
      name text not null,
      uuid uuid not null,
      host_id text not null references hosts,
      image_id text not null constraint instances_image references images,
      type text not null,
      vcpus integer not null check (vcpus > 0),
      memory_mib integer not null check (memory_mib > 0),
      disk_bytes bigint not null check (disk_bytes > 0),
      root_disk_id text not null unique,
      firmware text not null check (firmware in ('bios', 'uefi')),
      key_pairs jsonb not null,
      user_data text,
      desired text not null check (desired in ('running', 'stopped', 'deleted')),
      force_at timestamptz,
      reboot jsonb,
      generation bigint not null default 1,
      converged_generation bigint not null default 0,
      allocated boolean not null,
      observed_state text not null default 'absent',
      observed_reason text not null default 'unknown',
      failure jsonb,
      failures integer not null default 0,
      retry_at timestamptz,
      operation_id text references operations,
      created_at timestamptz(3) not null default now(),
      started_at timestamptz,
      -- The same as instanceState in modules/instances/instance.ts; here so that lists can be filtered by it.
      state text not null generated always as (case
        when desired = 'deleted' then 'deleting'
        when failure is not null then 'error'
        when desired = 'running' then case
          when observed_state = 'paused' then 'paused'
          when observed_state in ('running', 'stopping') and reboot is not null and converged_generation <> generation
            then 'rebooting'
          when observed_state = 'running' then 'running'
          else 'pending' end
        when observed_state = 'stopped' then 'stopped'
        when converged_generation <> generation then 'stopping'
        when observed_state = 'absent' then 'stopped'
        else observed_state end) stored,
      constraint instances_name_taken unique (project_id, name)
    );
    create index instances_page on instances (project_id, created_at, id);
    create index instances_state on instances (project_id, state, created_at, id);
    create index instances_host on instances (host_id);
    create index instances_image_id on instances (image_id);
    create index instances_unconverged on instances (host_id)
      where converged_generation <> generation or desired = 'deleted';

    create table nics (
      id text primary key,
      instance_id text not null references instances on delete cascade,
      network_id text not null constraint nics_network references networks,
      mac macaddr not null constraint nics_mac unique,
      address inet not null
    );
    create index nics_instance on nics (instance_id);
    create index nics_network_id on nics (network_id);

    create table addresses (
      network_id text not null references networks on delete cascade,
      address inet not null,
      nic_id text references nics on delete set null,
      released_at timestamptz,
      constraint addresses_one_holder primary key (network_id, address)
    );
    create index addresses_nic on addresses (nic_id);

    -- Workflows that may be worked on: an operation with an input is one.
    create index operations_workflows on operations (created_at) where state in ('queued', 'running') and input is not null;
  `.execute(db);
}

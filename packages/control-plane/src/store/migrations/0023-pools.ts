// Storage pools, which hosts have them, volume types, and what volumes are made as. Each host's own storage is its pool
// `local`, for as long as the host is there; what is told of no pool lies in that.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table pools (
      id text primary key,
      name text not null,
      driver text not null check (driver in ('local', 'directory', 'shared-directory', 'rbd')),
      -- Null: several hosts see it.
      host_id text references hosts on delete cascade,
      path text,
      ceph jsonb,
      key_sealed bytea,
      desired text not null default 'available' check (desired in ('available', 'deleted')),
      generation bigint not null default 1,
      -- Some host has opened it.
      opened boolean not null default false,
      capacity_bytes bigint,
      free_bytes bigint,
      overcommit double precision check (overcommit > 0),
      low_space_percent integer not null default 10 check (low_space_percent between 0 and 99),
      is_low boolean not null default false,
      is_default boolean not null default false,
      created_at timestamptz(3) not null default now(),
      check ((driver = 'rbd') = (ceph is not null)),
      check (driver in ('local', 'rbd') or path is not null)
    );
    -- A name is one pool for each host that sees it.
    create unique index pools_name_taken on pools (name, coalesce(host_id, ''));
    create unique index pools_one_default on pools (is_default) where is_default;
    create unique index pools_one_local on pools (host_id) where driver = 'local';
    create index pools_page on pools (created_at, id);

    create table pool_hosts (
      pool_id text not null references pools on delete cascade,
      host_id text not null references hosts on delete cascade,
      converged_generation bigint not null default 0,
      failure jsonb,
      abilities jsonb,
      primary key (pool_id, host_id)
    );
    create index pool_hosts_host on pool_hosts (host_id);

    create function pool_of_host() returns trigger language plpgsql as $$
      -- The digits of its host, so that it is the same one after a database was rebuilt.
      declare new_id text := 'pool-' || substr(new.id, 6);
      begin
        insert into pools (id, name, driver, host_id, opened) values (new_id, 'local', 'local', new.id, true);
        insert into pool_hosts (pool_id, host_id, converged_generation) values (new_id, new.id, 1);
        return new;
      end $$;
    create trigger hosts_have_a_pool after insert on hosts for each row execute function pool_of_host();
    insert into pools (id, name, driver, host_id, opened)
      select 'pool-' || substr(id, 6), 'local', 'local', id, true from hosts;
    insert into pool_hosts (pool_id, host_id, converged_generation) select id, host_id, 1 from pools;

    create table volume_types (
      name text primary key,
      pool text,
      limits jsonb,
      format text check (format in ('qcow2', 'raw')),
      preallocation text check (preallocation in ('off', 'metadata', 'falloc', 'full')),
      encrypted boolean,
      created_at timestamptz(3) not null default now()
    );

    alter table volumes
      add column pool_id text references pools,
      add column type text,
      add column format text not null default 'qcow2' check (format in ('qcow2', 'raw')),
      add column preallocation text not null default 'off' check (preallocation in ('off', 'metadata', 'falloc', 'full')),
      -- Without a reference: a copy of its own outlives the image.
      add column image_id text,
      add column clone text check (clone in ('linked', 'full')),
      add column passphrase_sealed bytea,
      add column limits jsonb,
      add column delete_protection boolean not null default false,
      add column wipe boolean not null default false,
      add column used_bytes bigint;
    update volumes set pool_id = pools.id from pools where pools.host_id = volumes.host_id;
    alter table volumes alter column pool_id set not null;
    -- Null: in the host's own storage.
    alter table instances add column root_pool_id text references pools;
    create index instances_root_pool on instances (root_pool_id) where root_pool_id is not null;
    create index volumes_pool on volumes (pool_id);
    create index volumes_linked on volumes (image_id) where clone = 'linked';

    create function pool_of_volume() returns trigger language plpgsql as $$
      begin
        if new.pool_id is null then
          select id into new.pool_id from pools where host_id = new.host_id and driver = 'local';
        end if;
        return new;
      end $$;
    create trigger volumes_have_a_pool before insert on volumes for each row execute function pool_of_volume();
  `.execute(db);
}

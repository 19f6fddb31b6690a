// Domains that were adopted and instances that were given back, what their definitions differ in, and the addresses that
// a domain still has when it is nobody's of ours.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table instances alter column image_id drop not null;
    alter table instances drop constraint instances_disk_bytes_check;
    alter table instances add constraint instances_disk_bytes_check check (disk_bytes >= 0);
    alter table instances
      add column origin text not null default 'launched' check (origin in ('launched', 'adopted')),
      add column released boolean not null default false,
      add column overlay jsonb not null default '[]',
      add column drift_policy text not null default 'keep' check (drift_policy in ('keep', 'revert')),
      add column drift jsonb,
      -- A domain has one owner.
      add constraint instances_domain unique (host_id, uuid);

    create table released_instances (
      id text primary key,
      project_id text not null references projects,
      host_id text not null references hosts,
      image_id text constraint released_instances_image references images,
      uuid uuid not null,
      domain_name text not null,
      released_at timestamptz(3) not null,
      constraint released_instances_domain unique (host_id, uuid)
    );

    create table foreign_leases (
      network_id text not null constraint foreign_leases_network references networks,
      address inet not null,
      mac macaddr not null constraint foreign_leases_mac unique,
      released_id text not null references released_instances on delete cascade,
      primary key (network_id, address)
    );
    create index foreign_leases_released on foreign_leases (released_id);

    -- Hosts get to know what they are to keep of what they have already.
    update networks set generation = generation + 1;
    update instances set generation = generation + 1, operation_id = null, reboot = null
      where desired <> 'deleted' and converged_generation = generation;
  `.execute(db);
}

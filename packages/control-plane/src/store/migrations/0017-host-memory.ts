// Memory of hosts beyond what is simply promised: huge pages, how often memory and vCPUs may be promised, how much stays
// free, and whose guests the kernel may merge pages of.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table hosts
      -- Null: as the cloud has it.
      add column vcpu_overcommit double precision check (vcpu_overcommit between 0.1 and 64),
      add column memory_overcommit double precision check (memory_overcommit between 0.1 and 16),
      add column memory_floor_mib integer check (memory_floor_mib >= 0),
      add column ksm_scope text check (ksm_scope in ('project', 'host', 'never')),
      -- Null: the host does not say.
      add column available_memory_mib integer,
      -- Its floor, or that of the cloud, as placement reads it.
      add column effective_floor_mib integer not null default 0,
      add column huge_2m_pages integer not null default 0,
      add column huge_1g_pages integer not null default 0,
      add column allocated_huge_2m_pages integer not null default 0,
      add column allocated_huge_1g_pages integer not null default 0,
      -- Since when the valve holds memory of its guests; null: it does not.
      add column relieving_since timestamptz(3);

    alter table instance_types add column huge_page_kib integer check (huge_page_kib in (2048, 1048576));

    alter table instances
      add column huge_page_kib integer check (huge_page_kib in (2048, 1048576)),
      add column no_merge boolean not null default false,
      -- The kernel may merge its pages: decided at its start, under the lock of the host's row, and so until it is off.
      add column merges boolean not null default false;
    -- What is on was started so.
    update instances set merges = true
      where (allocated or desired = 'hibernated') and observed_state in ('running', 'paused', 'stopping', 'hibernated')
        and launch_path = 'cold';
    create index instances_merging on instances (host_id, project_id)
      where merges and (allocated or desired = 'hibernated' or observed_state = 'hibernated');
  `.execute(db);
}

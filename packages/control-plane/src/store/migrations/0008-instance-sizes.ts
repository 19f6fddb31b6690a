// Sizes that change while a guest runs: how far they can grow, what a guest shows of them, and what it has not given back.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table instances
      -- Null: as many, and as much, as it has.
      add column max_vcpus integer constraint instances_max_vcpus check (max_vcpus >= vcpus),
      add column max_memory_mib integer constraint instances_max_memory check (max_memory_mib >= memory_mib),
      -- What it holds of its host beyond its size, because it was larger and still uses that.
      add column surplus_vcpus integer not null default 0 check (surplus_vcpus >= 0),
      add column surplus_memory_mib integer not null default 0 check (surplus_memory_mib >= 0),
      add constraint instances_surplus_is_allocated check (allocated or (surplus_vcpus = 0 and surplus_memory_mib = 0)),
      add column observed_vcpus integer,
      add column observed_memory_mib integer,
      -- The generation that last asked for another size.
      add column resized_generation bigint not null default 0;
  `.execute(db);
}

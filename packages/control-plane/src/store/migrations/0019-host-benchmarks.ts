// What was measured on hosts.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table host_benchmarks (
      id text primary key,
      host_id text not null references hosts (id) on delete cascade,
      operation_id text not null,
      setup jsonb not null,
      -- What the host was when it began.
      conditions jsonb not null,
      -- A comparison each, as the agent answered it.
      measured jsonb not null,
      state text not null default 'running' check (state in ('running', 'succeeded', 'failed', 'cancelled')),
      state_reason text,
      is_cancelled boolean not null default false,
      created_at timestamptz(3) not null default now(),
      finished_at timestamptz(3)
    );
    create unique index host_benchmarks_one on host_benchmarks (host_id) where state = 'running';
    create index host_benchmarks_host on host_benchmarks (host_id, created_at);
  `.execute(db);
}

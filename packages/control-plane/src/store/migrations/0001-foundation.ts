// Identity, projects, key pairs, operations, events, idempotency.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table settings (key text primary key, value text not null);

    create table projects (
      id text primary key,
      name text not null constraint projects_name_taken unique,
      description text not null default '',
      created_at timestamptz(3) not null default now()
    );

    create table users (
      id text primary key,
      name text not null constraint users_name_taken unique,
      password_hash text,
      cloud_role text not null check (cloud_role in ('none', 'viewer', 'admin')),
      created_at timestamptz(3) not null default now()
    );

    create table project_members (
      project_id text not null references projects on delete cascade,
      user_id text not null references users on delete cascade,
      role text not null check (role in ('viewer', 'operator', 'admin')),
      primary key (project_id, user_id)
    );
    create index project_members_user on project_members (user_id);

    create table api_keys (
      access_key_id text primary key,
      user_id text not null references users on delete cascade,
      project_id text references projects on delete cascade,
      description text not null default '',
      secret_sha256 bytea not null,
      secret_sealed bytea not null,
      created_at timestamptz(3) not null default now(),
      expires_at timestamptz
    );
    create index api_keys_user on api_keys (user_id);

    create table key_pairs (
      id text primary key,
      project_id text not null references projects,
      name text not null,
      public_key text not null,
      fingerprint text not null,
      created_at timestamptz(3) not null default now(),
      constraint key_pairs_name_taken unique (project_id, name)
    );

    create table operations (
      id text primary key,
      kind text not null,
      project_id text not null references projects on delete cascade,
      resource_id text not null,
      resource_name text not null,
      state text not null default 'queued' check (state in ('queued', 'running', 'succeeded', 'failed')),
      progress_percent integer not null default 0 check (progress_percent between 0 and 100),
      message text not null default '',
      error jsonb,
      requested_by text not null,
      generation bigint,
      input jsonb,
      step integer not null default 0,
      failure jsonb,
      lease_owner text,
      lease_until timestamptz,
      fence bigint not null default 0,
      created_at timestamptz(3) not null default now(),
      started_at timestamptz,
      finished_at timestamptz,
      constraint operations_ended check ((state in ('succeeded', 'failed')) = (finished_at is not null)),
      constraint operations_failed check ((state = 'failed') = (error is not null))
    );
    create index operations_page on operations (project_id, created_at desc, id desc);
    create index operations_resource on operations (resource_id, created_at desc);
    create index operations_open on operations (created_at) where state in ('queued', 'running');

    create table events (
      seq bigint generated always as identity,
      txid xid8 not null default pg_current_xact_id(),
      time timestamptz not null default clock_timestamp(),
      category text not null check (category in ('audit', 'lifecycle')),
      type text not null,
      project_id text,
      resource_id text,
      resource_name text,
      actor text not null,
      message text not null,
      data jsonb not null default '{}',
      request_id text,
      primary key (txid, seq)
    );
    create index events_project on events (project_id, txid, seq);
    create index events_resource on events (resource_id, txid, seq);

    create table idempotency_keys (
      user_id text not null references users on delete cascade,
      key text not null,
      request_sha256 bytea not null,
      response json, -- not jsonb: the same answer twice, to the byte
      created_at timestamptz(3) not null default now(),
      primary key (user_id, key)
    );
    create index idempotency_keys_age on idempotency_keys (created_at);
  `.execute(db);
}

// Tickets that open a console once, and until when the file systems of guests may be frozen.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table console_tickets (
      sha256 bytea primary key,
      instance_id text not null references instances on delete cascade,
      project_id text not null references projects on delete cascade,
      user_id text not null references users on delete cascade,
      kind text not null check (kind in ('serial', 'vnc')),
      expires_at timestamptz(3) not null
    );
    create index console_tickets_expiry on console_tickets (expires_at);
    create index console_tickets_instance on console_tickets (instance_id);
    create index console_tickets_user on console_tickets (user_id);

    create table guest_freezes (
      instance_id text primary key references instances on delete cascade,
      frozen_until timestamptz(3) not null,
      thaw_at timestamptz(3) not null,
      failures integer not null default 0
    );
    create index guest_freezes_due on guest_freezes (thaw_at);
  `.execute(db);
}

// Every address of a network has a row from the beginning, so that no launch has to make any.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    drop index addresses_nic;
    create index addresses_nic on addresses (nic_id) where nic_id is not null;
    create index addresses_leased on addresses (network_id) where released_at is null;
    insert into addresses (network_id, address, released_at)
      select id, gateway + n, '-infinity' from networks, generate_series(1, (2 ^ (32 - masklen(cidr)))::bigint - 3) n
      on conflict do nothing;
  `.execute(db);
}

// Free addresses can be found without reading those that are leased, and a lease may name a network interface that the same
// transaction inserts later.
import { type Kysely, sql } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create index addresses_free on addresses (network_id, released_at, address) where released_at is not null;
    alter table addresses alter constraint addresses_nic_id_fkey deferrable initially deferred;
  `.execute(db);
}

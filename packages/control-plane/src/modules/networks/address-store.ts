// Leases of addresses. One row an address; the primary key is what makes two holders impossible. An address that nobody
// holds has a row too, once it has been held or its turn is near, so that the next one is found without reading those that
// are leased, and launches take different rows instead of waiting for each other.
import { VirgaError } from '@virga/contract/errors';
import type { NetworkId, NetworkInterfaceId } from '@virga/contract/ids';
import { sql } from 'kysely';
import type { WriteAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';
import { addressCount, addressesAfter, addressRange } from './address-pool.ts';

/** An address is kept back for this long after its release, so that caches of it elsewhere can expire. */
const quarantineMs = 60_000;

/** How many addresses that nobody has held yet get their rows at once. */
const batch = 256;

type LeasableNetwork = { id: NetworkId; name: string; cidr: string };

/**
 * Leases an address to a network interface, which is to be inserted in the same transaction: the one that has been free for
 * the longest, and before those that were released within the last minute one that nobody has held.
 * @throws AddressesExhausted | Conflict the network is being deleted
 */
export async function leaseAddress(
  tx: Tx,
  _access: WriteAccess,
  network: LeasableNetwork,
  nicId: NetworkInterfaceId,
  now: Date,
): Promise<string> {
  const rested = new Date(now.getTime() - quarantineMs);
  const address = (await takeFree(tx, network.id, nicId, rested)) ?? (await takeWhenScarce(tx, network, nicId, rested));
  if (address !== undefined) return address;
  throw new VirgaError('AddressesExhausted', {
    detail: `Network ${network.name} has no free address: all ${addressCount(addressRange(network.cidr))} are leased.`,
    action: 'Delete instances that are not needed, or use another network.',
    field: '/network',
  });
}

/**
 * One of the rows that are free, other than those that another launch is just taking. Holds the network against deletion.
 * @param releasedBefore undefined: whenever it was released; then also what another launch gives up is waited for
 */
async function takeFree(
  tx: Tx,
  networkId: NetworkId,
  nicId: NetworkInterfaceId,
  releasedBefore?: Date,
): Promise<string | undefined> {
  const oldest = tx
    .selectFrom('addresses')
    .select('address')
    .where('network_id', '=', networkId)
    .where('released_at', 'is not', null)
    .orderBy('released_at')
    .orderBy('address')
    .limit(1)
    .forUpdate();
  const row = await tx
    .updateTable('addresses')
    .set({ nic_id: nicId, released_at: null })
    .where('network_id', '=', networkId)
    .where('address', '=', releasedBefore ? oldest.where('released_at', '<=', releasedBefore).skipLocked() : oldest)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('networks').select('id').where('id', '=', networkId).where('desired', '=', 'active').forKeyShare(),
      ),
    )
    .returning(sql<string>`host(address)`.as('address'))
    .executeTakeFirst();
  return row?.address;
}

/** One launch at a time comes here, and finds what the one before has left. */
async function takeWhenScarce(
  tx: Tx,
  network: LeasableNetwork,
  nicId: NetworkInterfaceId,
  rested: Date,
): Promise<string | undefined> {
  const current = await tx
    .selectFrom('networks')
    .select('desired')
    .where('id', '=', network.id)
    .forNoKeyUpdate() // goes together with the hold that launches have on the network
    .executeTakeFirst();
  if (current?.desired !== 'active') {
    throw new VirgaError('Conflict', {
      detail: `Network ${network.name} is being deleted.`,
      action: 'Choose another network.',
      field: '/network',
    });
  }
  const address = await takeFree(tx, network.id, nicId, rested);
  if (address !== undefined) return address;
  await extend(tx, network);
  return (await takeFree(tx, network.id, nicId, rested)) ?? (await takeFree(tx, network.id, nicId));
}

/** Makes rows of the next addresses. All below the highest one have theirs: rows go with their network only. */
async function extend(tx: Tx, { id, cidr }: LeasableNetwork): Promise<void> {
  const highest = await tx
    .selectFrom('addresses')
    .select(sql<string>`host(address)`.as('address'))
    .where('network_id', '=', id)
    .orderBy('addresses.address', 'desc')
    .limit(1)
    .executeTakeFirst();
  const next = addressesAfter(addressRange(cidr), highest?.address, batch);
  if (next.length === 0) return;
  await sql`insert into addresses (network_id, address, released_at)
    select ${id}, address, '-infinity' from unnest(${next}::inet[]) as address`.execute(tx);
}

export async function releaseAddresses(
  tx: Tx,
  _access: WriteAccess,
  nicIds: NetworkInterfaceId[],
  now: Date,
): Promise<void> {
  if (nicIds.length === 0) return;
  await tx.updateTable('addresses').set({ nic_id: null, released_at: now }).where('nic_id', 'in', nicIds).execute();
}

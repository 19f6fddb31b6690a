// Leases of addresses. One row an address; the primary key is what makes two holders impossible. Addresses that nobody holds
// have rows too, from the beginning of their network, so that the next one is found without reading those that are leased,
// and launches take different rows instead of waiting for each other.
import { VirgaError } from '@virga/contract/errors';
import type { NetworkId, NetworkInterfaceId } from '@virga/contract/ids';
import ipaddr from 'ipaddr.js';
import { sql } from 'kysely';
import type { WriteAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';
import { type AddressRange, addressCount, addressRange } from './address-pool.ts';

/** Makes the rows of a new network. */
export async function insertAddresses(tx: Tx, _access: WriteAccess, id: NetworkId, range: AddressRange): Promise<void> {
  await sql`insert into addresses (network_id, address, released_at)
    select ${id}, ${range.gateway}::inet + n, '-infinity' from generate_series(1, ${addressCount(range)}::int) as n`.execute(
    tx,
  );
}

type LeasableNetwork = { id: NetworkId; name: string; cidr: string };

/**
 * Leases an address to a network interface, which is to be inserted in the same transaction: the one that has been free for
 * the longest, so that caches elsewhere of who had it before can expire.
 * @throws AddressesExhausted | Conflict the network is being deleted
 */
export async function leaseAddress(
  tx: Tx,
  _access: WriteAccess,
  network: LeasableNetwork,
  nicId: NetworkInterfaceId,
): Promise<string> {
  const address = await takeFree(tx, network.id, nicId, 'skip');
  if (address !== undefined) return address;
  await refuseDeleted(tx, network);
  const givenUp = await takeFree(tx, network.id, nicId, 'wait');
  if (givenUp !== undefined) return givenUp;
  throw new VirgaError('AddressesExhausted', {
    detail: `Network ${network.name} has no free address: all ${addressCount(addressRange(network.cidr))} are leased.`,
    action: 'Delete instances that are not needed, or use another network.',
    field: '/network',
  });
}

/**
 * Leases this very address to a network interface, which is to be inserted in the same transaction.
 * @throws InvalidArgument the network has no such address to lease | InUse somebody has it
 * @throws Conflict the network is being deleted
 */
export async function leaseThisAddress(
  tx: Tx,
  _access: WriteAccess,
  network: LeasableNetwork,
  nicId: NetworkInterfaceId,
  address: string,
): Promise<string> {
  await refuseDeleted(tx, network);
  const row = ipaddr.IPv4.isValidFourPartDecimal(address)
    ? await tx
        .selectFrom('addresses')
        .select('released_at')
        .where('network_id', '=', network.id)
        .where('address', '=', address)
        .forUpdate()
        .executeTakeFirst()
    : undefined;
  if (!row) {
    throw new VirgaError('InvalidArgument', {
      detail: `${address} is no address that network ${network.name} leases: it has ${network.cidr}.`,
      action: 'Choose another one, or leave it out to get the next free one.',
      field: '/address',
    });
  }
  if (row.released_at === null) {
    throw new VirgaError('InUse', {
      detail: `The address ${address} of network ${network.name} is leased already.`,
      action: 'Choose another one, or leave it out to get the next free one.',
      field: '/address',
    });
  }
  await tx
    .updateTable('addresses')
    .set({ nic_id: nicId, released_at: null })
    .where('network_id', '=', network.id)
    .where('address', '=', address)
    .execute();
  return address;
}

/**
 * The first of the rows that are free. What another launch is just taking is skipped at first; only when nothing else is
 * free we wait for how that ends. Holds the network against deletion.
 */
async function takeFree(
  tx: Tx,
  networkId: NetworkId,
  nicId: NetworkInterfaceId,
  locked: 'skip' | 'wait',
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
    .where('address', '=', locked === 'skip' ? oldest.skipLocked() : oldest)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('networks').select('id').where('id', '=', networkId).where('desired', '=', 'active').forKeyShare(),
      ),
    )
    .returning(sql<string>`host(address)`.as('address'))
    .executeTakeFirst();
  return row?.address;
}

async function refuseDeleted(tx: Tx, { id, name }: LeasableNetwork): Promise<void> {
  const current = await tx.selectFrom('networks').select('desired').where('id', '=', id).executeTakeFirst();
  if (current?.desired === 'active') return;
  throw new VirgaError('Conflict', {
    detail: `Network ${name} is being deleted.`,
    action: 'Choose another network.',
    field: '/network',
  });
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

/** Leases this very address, if nobody holds it. */
export async function leaseKnownAddress(
  tx: Tx,
  _access: WriteAccess,
  { networkId, address, nicId }: { networkId: NetworkId; address: string; nicId: NetworkInterfaceId },
): Promise<string | undefined> {
  const row = await tx
    .updateTable('addresses')
    .set({ nic_id: nicId, released_at: null })
    .where('network_id', '=', networkId)
    .where('address', '=', address)
    .where('released_at', 'is not', null)
    .returning('network_id')
    .executeTakeFirst();
  return row && address;
}

/** From now on the address is held by what is no network interface of ours. */
export async function holdAddress(tx: Tx, _access: WriteAccess, networkId: NetworkId, address: string): Promise<void> {
  await tx
    .updateTable('addresses')
    .set({ nic_id: null, released_at: null })
    .where('network_id', '=', networkId)
    .where('address', '=', address)
    .execute();
}

export async function freeAddress(
  tx: Tx,
  _access: WriteAccess,
  networkId: NetworkId,
  address: string,
  now: Date,
): Promise<void> {
  await tx
    .updateTable('addresses')
    .set({ nic_id: null, released_at: now })
    .where('network_id', '=', networkId)
    .where('address', '=', address)
    .execute();
}

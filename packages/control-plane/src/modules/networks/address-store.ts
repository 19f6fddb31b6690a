// Leases of addresses. One row an address; the primary key is what makes two holders impossible.
import { VirgaError } from '@virga/contract/errors';
import type { NetworkId, NetworkInterfaceId } from '@virga/contract/ids';
import { sql } from 'kysely';
import type { WriteAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';
import { addressRange, lowestFree } from './address-pool.ts';

/** An address is kept back for this long after its release, so that caches of it elsewhere can expire. */
const quarantineMs = 60_000;

/**
 * Leases the lowest free address of the network. Requests for one network queue at its row.
 * @throws AddressesExhausted | Conflict the network is being deleted
 */
export async function leaseAddress(
  tx: Tx,
  _access: WriteAccess,
  network: { id: NetworkId; name: string; cidr: string },
  now: Date,
): Promise<string> {
  const current = await tx
    .selectFrom('networks')
    .select('desired')
    .where('id', '=', network.id)
    .forUpdate()
    .executeTakeFirst();
  if (current?.desired !== 'active') {
    throw new VirgaError('Conflict', {
      detail: `Network ${network.name} is being deleted.`,
      action: 'Choose another network.',
      field: '/network',
    });
  }
  const held = await tx
    .selectFrom('addresses')
    .select([sql<string>`host(address)`.as('address'), 'nic_id', 'released_at'])
    .where('network_id', '=', network.id)
    .orderBy('addresses.address') // the column: as text, .10 would come before .2
    .execute();
  const range = addressRange(network.cidr);
  const limit = now.getTime() - quarantineMs;
  const leased = held.filter((row) => row.released_at === null);
  const resting = held.filter((row) => row.released_at === null || row.released_at.getTime() > limit);
  const address =
    lowestFree(
      range,
      resting.map((row) => row.address),
    ) ??
    lowestFree(
      range,
      leased.map((row) => row.address),
    );
  if (address === undefined) {
    throw new VirgaError('AddressesExhausted', {
      detail: `Network ${network.name} has no free address: all ${leased.length} are leased.`,
      action: 'Delete instances that are not needed, or use another network.',
      field: '/network',
    });
  }
  // Takes over what was released, never what somebody holds.
  await tx
    .insertInto('addresses')
    .values({ network_id: network.id, address, nic_id: null, released_at: null })
    .onConflict((conflict) =>
      conflict
        .constraint('addresses_one_holder')
        .doUpdateSet({ nic_id: null, released_at: null })
        .where('addresses.released_at', 'is not', null),
    )
    .returning('address')
    .executeTakeFirstOrThrow();
  return address;
}

export async function bindAddress(
  tx: Tx,
  _access: WriteAccess,
  networkId: NetworkId,
  address: string,
  nicId: NetworkInterfaceId,
): Promise<void> {
  await tx
    .updateTable('addresses')
    .set({ nic_id: nicId })
    .where('network_id', '=', networkId)
    .where('address', '=', address)
    .execute();
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

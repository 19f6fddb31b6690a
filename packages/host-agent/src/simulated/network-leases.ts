// Networks of a simulated host and the addresses leased on them. A card has one lease, an address one card.
import type { DesiredLease } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { NetworkId } from '@virga/contract/ids';
import type { StoredNetwork } from './host-records.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** @throws NotFound the network is not on the host, or is another cloud's */
export function findNetwork(host: SimulatedHost, id: NetworkId, cloudId: string): StoredNetwork {
  const stored = host.store.networks.get(id);
  if (stored !== undefined && stored.network.cloudId === cloudId) return stored;
  throw new VirgaError('NotFound', {
    detail: `The network ${id} is not on the host.`,
    action: 'Apply the network first.',
  });
}

/** Leases the address to the card, whoever had it before. */
export function addLease(host: SimulatedHost, id: NetworkId, lease: DesiredLease): void {
  change(host, id, (leases) => [
    ...leases.filter(({ mac, address }) => mac !== lease.mac && address !== lease.address),
    lease,
  ]);
}

export function removeLease(host: SimulatedHost, id: NetworkId, mac: string): void {
  change(host, id, (leases) => leases.filter((lease) => lease.mac !== mac));
}

function change(host: SimulatedHost, id: NetworkId, edit: (leases: DesiredLease[]) => DesiredLease[]): void {
  const stored = host.store.networks.get(id);
  if (stored === undefined) return;
  const network = { ...stored.network, leases: edit(stored.network.leases) };
  host.store.networks.set(id, { ...stored, network });
}

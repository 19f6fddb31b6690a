// Static DHCP entries of libvirt networks: which address belongs to which card. Owns the difference between what is there
// and what should be, in the running network and in its definition, each by itself. Repeating it changes nothing.
import type { InstanceIdentity } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { Connection } from '@virga/libvirt/connection/connect';
import { tolerate } from '../hypervisor-errors.ts';
import { releaseFormerHolders } from './former-holders.ts';
import type { FoundNetwork, NetworkNames } from './network-names.ts';
import { leaseElement, type NetworkDescription } from './network-xml.ts';

type Lease = NetworkDescription['leases'][number];
type Nic = InstanceIdentity['nics'][number];
type Life = { leases: readonly Lease[]; scope: { live: true } | { config: true } };

/** The two lives of a network, the running one first, because guests wait for that. */
const livesOf = ({ defined, running }: FoundNetwork): Life[] => [
  ...(running === undefined ? [] : [{ leases: running.leases, scope: { live: true } } as const]),
  { leases: defined.leases, scope: { config: true } },
];

const belongsTo = ({ mac, address }: Lease, nic: Nic): boolean =>
  mac === nic.mac.toLowerCase() && address === nic.address;

export const hasLease = (found: FoundNetwork, nic: Nic): boolean =>
  livesOf(found).every(({ leases }) => leases.some((lease) => belongsTo(lease, nic)));

/** Adds the lease of a card, in place of others that claim its address or still hold it. */
export async function addLease(connection: Connection, found: FoundNetwork, nic: Nic, hostName: string): Promise<void> {
  const mac = nic.mac.toLowerCase();
  const name = hostName.toLowerCase();
  for (const { leases, scope } of livesOf(found)) {
    if (leases.some((lease) => belongsTo(lease, nic))) continue;
    const rivals = leases.filter((lease) => lease.mac === mac || lease.address === nic.address);
    const isFree = name !== '' && !leases.some((lease) => !rivals.includes(lease) && lease.hostName === name);
    const lease = { mac, address: nic.address, hostName: isFree ? name : undefined };
    await change(connection, found, { scope, surplus: rivals, missing: [lease] });
  }
  // Not before: libvirt runs a DHCP server only for a network that has an entry.
  await releaseFormerHolders(connection, found, nic);
}

/** Takes the leases of cards away. A network that is gone is no error. */
export async function removeLeases(connection: Connection, names: NetworkNames, nics: readonly Nic[]): Promise<void> {
  for (const nic of nics) {
    const found = await names.find(connection, nic.networkId);
    if (found === undefined) continue;
    for (const { leases, scope } of livesOf(found)) {
      const surplus = leases.filter(({ mac }) => mac === nic.mac.toLowerCase());
      await change(connection, found, { scope, surplus, missing: [] });
    }
  }
}

/** Makes the leases of the running network exactly these. */
export async function replaceRunningLeases(
  connection: Connection,
  found: FoundNetwork,
  wanted: readonly Lease[],
): Promise<void> {
  const wantedKeys = new Set(wanted.map(leaseElement));
  const present = found.running?.leases ?? [];
  const presentKeys = new Set(present.map(leaseElement));
  await change(connection, found, {
    scope: { live: true },
    surplus: present.filter((lease) => !wantedKeys.has(leaseElement(lease))),
    missing: wanted.filter((lease) => !presentKeys.has(leaseElement(lease))),
  });
}

type Change = { scope: Life['scope']; surplus: readonly Lease[]; missing: readonly Lease[] };

/** Surplus goes first: an address, a card and a name may each stand in one entry only. */
async function change(
  { networks }: Connection,
  { ref }: FoundNetwork,
  { scope, surplus, missing }: Change,
): Promise<void> {
  for (const lease of surplus) {
    const update = { command: 'delete', section: 'ipDhcpHost', xml: leaseElement(lease) } as const;
    await tolerate(networks.update(ref, update, scope), 'OPERATION_INVALID', 'NO_NETWORK');
  }
  for (const lease of missing) {
    await networks.update(ref, { command: 'addLast', section: 'ipDhcpHost', xml: leaseElement(lease) }, scope);
  }
}

export function networkMissing(nic: Nic): VirgaError {
  return new VirgaError('NotFound', {
    detail: `The network ${nic.networkId} is not on this host.`,
    action: 'Nothing: it is made when the host is next looked after. If that fails, see the events of the network.',
  });
}

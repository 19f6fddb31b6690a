// Who held an address before. dnsmasq keeps what it gave for as long as it said it would, also when the card is gone and
// its entry was taken away, and gives the address to nobody else meanwhile: a new instance would come up without a
// network. libvirt has no call for it, so the old holder's release is sent in its name.
import { setTimeout as sleep } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';
import type { Connection } from '@virga/libvirt/connection/connect';
import { runCommand } from '../../run-command.ts';
import type { FoundNetwork } from './network-names.ts';

const attempts = 20;
const intervalMs = 100;

/**
 * Makes the DHCP server forget who else has been given an address. Idempotent.
 * @throws HostUnavailable it does not, or `dhcp_release` is not installed
 */
export async function releaseFormerHolders(
  { networks }: Connection,
  { ref, running }: FoundNetwork,
  { mac, address }: { mac: string; address: string },
): Promise<void> {
  if (running === undefined) return;
  for (let attempt = 1; ; attempt++) {
    const leases = await networks.dhcpLeases(ref);
    const others = leases.filter(
      (lease) => lease.address === address && lease.mac?.toLowerCase() !== mac.toLowerCase(),
    );
    if (others.length === 0) return;
    if (attempt > attempts) {
      throw new VirgaError('HostUnavailable', {
        detail: `The DHCP server of ${ref.name} does not let go of ${address}, which ${others[0]?.mac} had.`,
        action: `Nothing, if it comes to that; it is tried again. Otherwise restart the network: virsh net-destroy ${ref.name} && virsh net-start ${ref.name}`,
      });
    }
    for (const other of others) {
      if (other.mac === null) continue;
      const client = other.clientId === null ? [] : [other.clientId];
      await runCommand('dhcp_release', [running.bridge, address, other.mac, ...client], { package: 'dnsmasq-utils' });
    }
    // The release is a datagram, and is written down a moment after.
    await sleep(intervalMs);
  }
}

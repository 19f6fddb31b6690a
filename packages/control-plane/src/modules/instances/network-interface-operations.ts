// Adding network interfaces to instances and removing them. An interface has its address from the moment that it is asked
// for until its host has said that the guest has let go of it. The last one may go too: the console stays.
import type { NicLimits } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { type InstanceId, type NetworkInterfaceId, newId } from '@virga/contract/ids';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { leaseAddress, leaseThisAddress } from '../networks/address-store.ts';
import { resolveNetwork } from '../networks/network-store.ts';
import { type Changed, changeDevices } from './device-change.ts';
import { readNicLimits } from './device-limits.ts';
import { insertNic } from './device-store.ts';
import { requireRelease, requireRoom } from './instance-devices.ts';
import type { InstanceRow } from './instance-store.ts';

/**
 * Adds a network interface with an address of its own.
 * @throws NotFound | Conflict | InvalidArgument | InUse the address | AddressesExhausted | HostIncapable
 */
export async function addNetworkInterface(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  body: { network: string; address?: string | undefined; limits?: NicLimits | undefined },
  ifMatch?: number,
): Promise<Changed> {
  return changeDevices(deps, access, id, ifMatch, async (tx, row, generation) => {
    requireRoom(row);
    const limits = await readNicLimits(tx, row.host_id, body.limits, '/limits');
    const network = await resolveNetwork(tx, access, body.network);
    const nicId = newId('networkInterface');
    const address =
      body.address === undefined
        ? await leaseAddress(tx, access, network, nicId)
        : await leaseThisAddress(tx, access, network, nicId, body.address);
    await insertNic(tx, access, {
      id: nicId,
      instance_id: id,
      network_id: network.id,
      address,
      limits: limits && JSON.stringify(limits),
      generation,
      // The generations only grow, so it comes after those that are there.
      position: generation,
    });
    const data = { nicId, networkId: network.id, networkName: network.name, address };
    return { kind: 'instance.add-network-interface', isNew: true, data };
  });
}

/** Removes a network interface, as soon as the guest lets go of it, and frees its address. @throws NotFound | Conflict */
export async function removeNetworkInterface(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  nicId: NetworkInterfaceId,
  ifMatch?: number,
): Promise<Changed> {
  return changeDevices(deps, access, id, ifMatch, async (tx, row, generation) => {
    const present = row.nics.find((nic) => nic.id === nicId);
    if (!present) throw noInterface(row, nicId);
    const kind = 'instance.remove-network-interface';
    if (present.detaching) return { kind, isNew: false };
    requireRelease(row);
    await tx.updateTable('nics').set({ detaching: true, generation }).where('id', '=', nicId).execute();
    return { kind, isNew: true, data: { nicId, address: present.address } };
  });
}

export const noInterface = (row: InstanceRow, nicId: NetworkInterfaceId) =>
  new VirgaError('NotFound', {
    detail: `Instance ${row.name} has no network interface ${nicId}.`,
    action: `See what it has: virga show ${row.name}`,
  });

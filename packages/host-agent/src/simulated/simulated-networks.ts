// Networks of a simulated host: made, repaired, removed, told.
import type { DesiredNetwork } from '@virga/contract/agent/desired';
import type { ObservedNetwork } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { CallSteps } from './call-steps.ts';
import type { StoredNetwork } from './host-records.ts';
import type { SimulatedHost } from './simulated-host.ts';

export async function applyNetwork(
  host: SimulatedHost,
  desired: DesiredNetwork,
  steps: CallSteps,
): Promise<ObservedNetwork> {
  requireNotTaken(host, desired);
  const stored = host.store.networks.get(desired.id);
  if (stored !== undefined && stored.network.generation > desired.generation) throw late(desired, stored);
  if (stored === undefined) {
    steps.undo.add('network', async () => host.removeNetwork(desired.id));
    await steps.take('define-network', 20, 0, () => host.setNetwork({ network: desired, active: false }));
  } else {
    await steps.take('leases', 20, steps.timings.leasesMs, () =>
      host.store.networks.set(desired.id, { network: desired, active: stored.active }),
    );
  }
  if (host.store.networks.get(desired.id)?.active !== true) {
    await steps.take('start-network', 60, steps.timings.networkMs, () =>
      host.setNetwork({ network: desired, active: true }),
    );
  }
  return observeNetwork(host.store.networks.get(desired.id)!);
}

/** Removes a network of this cloud. Nothing there is success. */
export async function removeNetwork(
  host: SimulatedHost,
  { id, cloudId }: Pick<DesiredNetwork, 'id' | 'cloudId'>,
  steps: CallSteps,
): Promise<void> {
  if (host.store.networks.get(id)?.network.cloudId !== cloudId) return;
  await steps.take('stop-network', 30, steps.timings.networkMs, () => {
    const stored = host.store.networks.get(id);
    if (stored !== undefined) host.setNetwork({ ...stored, active: false });
  });
  await steps.take('undefine-network', 70, 0, () => host.removeNetwork(id));
}

export function observeNetwork({ network, active }: StoredNetwork): ObservedNetwork {
  const leases = network.leases.map(({ mac, address }) => ({ mac: mac.toLowerCase(), address }));
  return { id: network.id, cloudId: network.cloudId, generation: network.generation, active, leases };
}

function requireNotTaken(host: SimulatedHost, desired: DesiredNetwork): void {
  const rival = host.store.networks
    .all()
    .find(({ network }) =>
      network.id === desired.id
        ? network.cloudId !== desired.cloudId
        : network.name === desired.name || network.uuid === desired.uuid || network.bridge === desired.bridge,
    );
  if (rival === undefined) return;
  throw new VirgaError('Conflict', {
    detail: `The network ${desired.name} on the host belongs to somebody else.`,
    action: 'Rename or remove it there, or choose another name and bridge.',
  });
}

function late(desired: DesiredNetwork, { network }: StoredNetwork): VirgaError {
  return new VirgaError('Conflict', {
    detail: `Generation ${desired.generation} of ${desired.id} came late: ${network.generation} has been applied.`,
    action: 'Read the network again.',
  });
}

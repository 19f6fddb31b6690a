// Removes an instance from a simulated host: guest, domain, leases, files, in this order, so that what is left at any
// moment can still be found and told whose it is. What belongs to another cloud is left alone.
import type { InstanceIdentity } from '@virga/contract/agent/desired';
import type { CallSteps } from './call-steps.ts';
import { removeLease } from './network-leases.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { refuseClones, removeSnapshotsOf } from './simulated-snapshots.ts';

export async function removeInstance(host: SimulatedHost, instance: InstanceIdentity, steps: CallSteps): Promise<void> {
  const { id, cloudId } = instance;
  const { folders } = host.store;
  refuseClones(host, instance);
  const ownDomain = () => {
    const domain = host.domain(id);
    return domain?.record.cloudId === cloudId ? domain : undefined;
  };
  if (host.store.shells.get(id)?.cloudId === cloudId) host.store.shells.delete(id);
  const domain = ownDomain();
  if (domain !== undefined && domain.power !== 'off') {
    await steps.take('destroy', 10, steps.timings.destroyMs, () => {
      const running = ownDomain();
      if (running !== undefined && running.power !== 'off') host.endGuest(id, running, 'destroyed');
    });
  }
  if (ownDomain() !== undefined) {
    await steps.take('undefine', 50, steps.timings.defineMs, () => {
      const defined = ownDomain();
      if (defined !== undefined) host.removeDomain(id, defined);
    });
  }
  const leased = instance.nics.filter(({ networkId, mac }) => {
    const network = host.store.networks.get(networkId)?.network;
    return network?.cloudId === cloudId && network.leases.some((lease) => lease.mac === mac);
  });
  if (leased.length > 0) {
    await steps.take('delete-leases', 70, steps.timings.leasesMs, () => {
      for (const { networkId, mac } of leased) removeLease(host, networkId, mac);
    });
  }
  const owner = folders.get(id)?.owner;
  if (owner?.cloudId === cloudId && !owner.released) {
    await steps.take('delete-files', 90, steps.timings.folderMs, () => {
      removeSnapshotsOf(host, id);
      for (const { holder, before } of host.store.moves.all()) if (holder === id) host.store.moves.delete(before.id);
      folders.delete(id);
      host.report(id, cloudId);
    });
  }
}

// All that is on a simulated host of any cloud.
import type { Inventory } from '@virga/contract/agent/inventory';
import { foundPool } from '@virga/contract/agent/pools';
import type { SimulatedHost } from './simulated-host.ts';
import { toObservedImage } from './simulated-images.ts';
import { observeSnapshot } from './simulated-snapshots.ts';
import { observeVolume } from './simulated-volumes.ts';

export function takeInventory(host: SimulatedHost): Inventory {
  const { domains, networks, images, volumes, folders, snapshots, keepsakes } = host.store;
  return {
    instances: domains.all().flatMap(({ record }) => {
      const observed = host.observe(record.instanceId);
      return observed === undefined ? [] : [{ desired: record.desired, observed }];
    }),
    networks: networks.all().map(({ network }) => ({
      id: network.id,
      cloudId: network.cloudId,
      uuid: network.uuid,
      generation: network.generation,
      gateway: network.gateway,
      prefix: Number(network.cidr.split('/')[1]),
      bridge: network.bridge,
      leases: network.leases.map(({ mac, address }) => ({ mac, address })),
      keepsake: network.keepsake ?? {},
    })),
    images: images.all().map(toObservedImage),
    volumes: volumes.all().map(observeVolume),
    pools: host.store.pools.all().map(foundPool),
    snapshots: snapshots.all().map((snapshot) => observeSnapshot(host, snapshot)),
    released: folders
      .all()
      .filter(({ owner }) => owner.released)
      .map(({ owner: { id, cloudId, uuid, domainName, imageId } }) => ({ id, cloudId, uuid, domainName, imageId })),
    keepsakes: keepsakes.all(),
  };
}

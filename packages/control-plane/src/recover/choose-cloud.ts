// Which of the clouds that hosts know is to be rebuilt, and what each host has of it. Pure.
import type { Inventory } from '@virga/contract/agent/inventory';
import { VirgaError } from '@virga/contract/errors';

export type CloudPart = Inventory;

/** @throws NotFound | InvalidArgument several, and none was named */
export function chooseCloud(
  inventories: readonly Inventory[],
  wanted?: string,
): { cloudId: string; parts: CloudPart[] } {
  const counts = new Map<string, number>();
  for (const { instances, networks, images, volumes, keepsakes } of inventories) {
    for (const { desired } of instances) counts.set(desired.cloudId, (counts.get(desired.cloudId) ?? 0) + 1);
    for (const { cloudId } of [...networks, ...images, ...volumes, ...keepsakes])
      counts.set(cloudId, counts.get(cloudId) ?? 0);
  }
  const cloudId = wanted ?? (counts.size === 1 ? [...counts.keys()][0] : undefined);
  if (cloudId === undefined && counts.size > 1) {
    const list = [...counts].map(([id, instances]) => `${id} (${instances} instances)`).join(', ');
    throw new VirgaError('InvalidArgument', {
      detail: `The host has things of ${counts.size} clouds: ${list}.`,
      action: 'Name the one to rebuild: virga recover --cloud ID.',
    });
  }
  if (cloudId === undefined || !counts.has(cloudId)) {
    throw new VirgaError('NotFound', {
      detail:
        cloudId === undefined ? 'The host has nothing of any cloud.' : `The host has nothing of the cloud ${cloudId}.`,
      action: 'Check that libvirt is the one that the cloud ran on, and the storage folder too.',
    });
  }
  const isIts = (item: { cloudId: string }) => item.cloudId === cloudId;
  const parts = inventories.map(({ instances, networks, images, volumes, pools, snapshots, released, keepsakes }) => ({
    instances: instances.filter(({ desired }) => isIts(desired)),
    networks: networks.filter(isIts),
    images: images.filter(isIts),
    volumes: volumes.filter(isIts),
    pools: pools.filter(isIts),
    snapshots: snapshots.filter(isIts),
    released: released.filter(isIts),
    keepsakes: keepsakes.filter(isIts),
  }));
  return { cloudId, parts };
}

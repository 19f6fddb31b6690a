// All that is on the host of any cloud. Reads only; made of the same parts that tell of one cloud.
import { readdir } from 'node:fs/promises';
import type { FoundInstance, FoundNetwork, Inventory, ReleasedFiles } from '@virga/contract/agent/inventory';
import type { ObservedImage } from '@virga/contract/agent/observed';
import { foundPool } from '@virga/contract/agent/pools';
import { isId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { AgentContext } from './agent-context.ts';
import { findKeepsakes } from './host/host-keepsakes.ts';
import { findImage, observed } from './images/image-store.ts';
import { lookAt, type OwnDomain } from './instances/domain-lookup.ts';
import { readOwner } from './instances/instance-folder.ts';
import { observe } from './instances/observed-instance.ts';
import { knownPools } from './pools/pool-record.ts';
import { listSnapshots } from './snapshots/observed-snapshot.ts';
import type { Storage } from './storage.ts';
import { listVolumes } from './volumes/volume-folder.ts';

export async function takeInventory(context: AgentContext): Promise<Inventory> {
  const { hypervisor, storage } = context;
  const [instances, networks] = await hypervisor.ask('look at all there is', (connection) =>
    Promise.all([findInstances(context, connection), findNetworks(context, connection)]),
  );
  const [images, released, keepsakes] = await Promise.all([
    findImages(storage),
    findReleased(storage),
    findKeepsakes(storage),
  ]);
  const pools = (await knownPools(storage)).map(foundPool);
  const clouds = new Set([
    ...instances.map(({ desired }) => desired.cloudId),
    ...[...networks, ...images, ...keepsakes].map(({ cloudId }) => cloudId),
  ]);
  const volumes = await Promise.all([...clouds].map((cloudId) => listVolumes(storage, cloudId)));
  const snapshots = await Promise.all([...clouds].map((cloudId) => listSnapshots(context, cloudId)));
  return {
    instances,
    networks,
    images,
    volumes: volumes.flat(),
    pools,
    snapshots: snapshots.flat(),
    released,
    keepsakes,
  };
}

async function findInstances(context: AgentContext, connection: Connection): Promise<FoundInstance[]> {
  const found: FoundInstance[] = [];
  for (const { uuid } of await connection.domains.list()) {
    const domain = await lookAt(connection, uuid);
    if (domain?.record === undefined) continue;
    found.push({ desired: domain.record.desired, observed: await observe(context, domain as OwnDomain) });
  }
  return found;
}

async function findNetworks({ networkNames }: AgentContext, connection: Connection): Promise<FoundNetwork[]> {
  return (await networkNames.list(connection)).map(({ ref, defined }) => ({
    ...defined.record,
    uuid: ref.uuid,
    gateway: defined.gateway,
    prefix: defined.prefix,
    bridge: defined.bridge,
    leases: defined.leases.map(({ mac, address }) => ({ mac, address })),
    keepsake: defined.keepsake,
  }));
}

async function findImages(storage: Storage): Promise<ObservedImage[]> {
  const ids = (await readdir(storage.imagesPath)).filter((name) => isId('image', name));
  const images = await Promise.all(ids.map((id) => findImage(storage, id)));
  return images.filter((image) => image !== undefined).map(observed);
}

async function findReleased(storage: Storage): Promise<ReleasedFiles[]> {
  const ids = (await readdir(storage.instancesPath)).filter((name) => isId('instance', name));
  const owners = await Promise.all(ids.map((id) => readOwner(storage, id)));
  return owners
    .filter((owner) => owner?.released)
    .map((owner) => {
      const { id, cloudId, uuid, domainName, imageId } = owner!;
      return { id, cloudId, uuid, domainName, imageId };
    });
}

// The domain XML that a real host would have for an instance, made by the same function.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ImageId, InstanceId } from '@virga/contract/ids';
import { withOverlay } from '../libvirt/definitions/effective-definition.ts';
import { type DiskSource, sharedSource } from '../libvirt/disks/disk-source.ts';
import { domainXml } from '../libvirt/instances/domain-xml.ts';
import { devicesOf } from './host-records.ts';
import { requireDomain } from './host-rules.ts';
import { cpuChoicesOf } from './simulated-cpus.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** @throws NotFound there is no domain */
export function simulatedDomainXml(host: SimulatedHost, id: InstanceId): string {
  const generated = generatedDomainXml(host, id);
  return withOverlay(generated, host.domain(id)!.record.desired.overlay).xml;
}

/** Without the overlay of the instance. @throws NotFound there is no domain */
export function generatedDomainXml(host: SimulatedHost, id: InstanceId): string {
  const domain = requireDomain(
    host,
    id,
    'Look at what the instance is doing; its domain is made when it is next looked after.',
  );
  const { record } = domain;
  const { volumes, nics, rootDiskLimits, rootDiskDriver, cdrom = null } = devicesOf(domain);
  const rootDisk = { ...record.desired.rootDisk, limits: rootDiskLimits, driver: rootDiskDriver };
  const desired = { ...record.desired, volumes, nics, rootDisk, cdrom } as DesiredInstance;
  const { imageId } = desired.rootDisk;
  const folder = `/simulated/instances/${id}`;
  return domainXml({
    desired,
    record,
    files: {
      rootDisk: `${folder}/root.qcow2`,
      seed: `${folder}/seed.iso`,
      consoleLog: `${folder}/console.log`,
      nvram: `${folder}/nvram`,
    },
    rootDisk: { path: `${folder}/root.qcow2`, format: 'qcow2', base: baseOf(host, imageId) },
    volumes: new Map(
      desired.volumes.map((volume) => [
        volume.id,
        { path: `/simulated/volumes/${volume.id}/disk.qcow2`, format: 'qcow2' },
      ]),
    ),
    disc: cdrom?.imageId ? `/simulated/images/${cdrom.imageId}` : null,
    networkNames: new Map(desired.nics.map(({ networkId }) => [networkId, networkName(host, networkId)])),
    host: { arch: 'x86_64', acceleration: 'tcg', vhostNet: false, directIo: true, cpus: cpuChoicesOf(host) },
  });
}

function baseOf(host: SimulatedHost, imageId: ImageId | null): DiskSource | undefined {
  if (imageId === null) return undefined;
  const format = host.store.images.get(imageId)?.format ?? 'qcow2';
  return sharedSource({ path: `/simulated/images/${imageId}`, format });
}

function networkName(host: SimulatedHost, id: Parameters<typeof host.store.networks.get>[0]): string {
  return host.store.networks.get(id)?.network.name ?? id;
}

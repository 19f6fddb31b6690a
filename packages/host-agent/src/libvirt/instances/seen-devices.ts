// The devices of a domain that come and go, as its XML shows them: volumes and cards that carry our alias, and the limits of
// all disks. What others have plugged in is not among them. A pure reader.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { isId, type NetworkInterfaceId, type VolumeId } from '@virga/contract/ids';
import { childAt, childrenOf, parseXml, type XmlElement } from '../xml.ts';
import type { bandwidthValues, ioTuneValues } from './device-xml.ts';
import { volumePlace } from './machine-profile.ts';

export type SeenVolume = { id: VolumeId; target: string; readOnly: boolean };
export type SeenNic = { id: NetworkInterfaceId; mac: string; limits: ReturnType<typeof bandwidthValues> };
export type SeenDevices = {
  volumes: SeenVolume[];
  nics: SeenNic[];
  /** Of every disk, by target. */
  ioTunes: ReadonlyMap<string, ReturnType<typeof ioTuneValues>>;
  /** Target of each disk by serial. */
  targets: ReadonlyMap<string, string>;
  /** Ports where devices can be plugged in. */
  freePorts: number;
};

export function readDevices(xml: string): SeenDevices {
  const devices = childAt(parseXml(xml), 'devices');
  const disks = childrenOf(devices, 'disk');
  return {
    volumes: disks.flatMap((disk) => {
      const id = ownId(disk);
      return isId('volume', id)
        ? [{ id, target: targetOf(disk), readOnly: childAt(disk, 'readonly') !== undefined }]
        : [];
    }),
    nics: childrenOf(devices, 'interface').flatMap((card) => {
      const id = ownId(card);
      if (!isId('networkInterface', id)) return [];
      return [{ id, mac: childAt(card, 'mac')?.attributes.address ?? '', limits: bandwidthOf(card) }];
    }),
    ioTunes: new Map(disks.map((disk) => [targetOf(disk), ioTuneOf(disk)])),
    targets: new Map(disks.map((disk) => [childAt(disk, 'serial')?.text ?? '', targetOf(disk)])),
    freePorts: freePortsOf(devices),
  };
}

/** Each port is a bus of its own, with one place. */
function freePortsOf(devices: XmlElement | undefined): number {
  const all = [...(devices?.children.values() ?? [])].flat();
  const taken = new Set(all.map((device) => Number(childAt(device, 'address')?.attributes.bus ?? -1)));
  const ports = childrenOf(devices, 'controller').filter(({ attributes }) => attributes.model === 'pcie-root-port');
  return ports.filter(({ attributes }) => !taken.has(Number(attributes.index))).length;
}

const ownId = (device: XmlElement): string => childAt(device, 'alias')?.attributes.name?.replace(/^ua-/, '') ?? '';
const targetOf = (disk: XmlElement): string => childAt(disk, 'target')?.attributes.dev ?? '';

function ioTuneOf(disk: XmlElement): ReturnType<typeof ioTuneValues> {
  const value = (name: string) => Number(childAt(disk, 'iotune', name)?.text ?? 0);
  const bytesMax = value('total_bytes_sec_max');
  const iopsMax = value('total_iops_sec_max');
  return {
    total_bytes_sec: value('total_bytes_sec'),
    total_iops_sec: value('total_iops_sec'),
    total_bytes_sec_max: bytesMax,
    total_iops_sec_max: iopsMax,
    // libvirt shows a length also where there is no burst.
    total_bytes_sec_max_length: bytesMax > 0 ? value('total_bytes_sec_max_length') || 1 : 0,
    total_iops_sec_max_length: iopsMax > 0 ? value('total_iops_sec_max_length') || 1 : 0,
  };
}

function bandwidthOf(card: XmlElement): ReturnType<typeof bandwidthValues> {
  const direction = (name: string) => {
    const { average, burst } = childAt(card, 'bandwidth', name)?.attributes ?? {};
    return { average: Number(average ?? 0), burst: Number(burst ?? 0) };
  };
  return { inbound: direction('inbound'), outbound: direction('outbound') };
}

/** What is to go, or to come back in another way. */
export function surplusOf(desired: DesiredInstance, seen: SeenDevices): (SeenVolume | SeenNic)[] {
  const isWanted = ({ id, target, readOnly }: SeenVolume) =>
    desired.volumes.some(
      (volume) =>
        volume.id === id && volumePlace(volume, desired.hardware).dev === target && volume.readOnly === readOnly,
    );
  return [
    ...seen.volumes.filter((volume) => !isWanted(volume)),
    ...seen.nics.filter(({ id }) => !desired.nics.some((nic) => nic.id === id)),
  ];
}

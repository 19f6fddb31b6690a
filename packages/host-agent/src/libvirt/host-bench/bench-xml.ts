// The definition of a guest to measure with: what any instance gets, with disks and cards beyond what instances can have,
// and a mark of its own. Pure.

import type { DiskDriver } from '@virga/contract/agent/desired';
import { type DesiredInstance, instanceDefaults, type OverlayChange } from '@virga/contract/agent/desired';
import { newId } from '@virga/contract/ids';
import { withOverlay } from '../definitions/effective-definition.ts';
import { sharedSource } from '../disks/disk-source.ts';
import type { HostChoices } from '../instances/domain-host.ts';
import { recordOf } from '../instances/domain-metadata.ts';
import { domainXml, type InstanceFiles } from '../instances/domain-xml.ts';
import { element } from '../xml.ts';

export type BenchDisk = {
  file: string;
  format: 'qcow2' | 'raw';
  cache: NonNullable<DiskDriver['cache']>;
  aio: NonNullable<DiskDriver['aio']>;
  bus: 'virtio' | 'sata';
};

export type GuestSpec = {
  vcpus: number;
  memoryMib: number;
  hugePageKib?: 2048 | 1_048_576;
  disks?: readonly BenchDisk[];
  cards?: readonly ('virtio' | 'e1000')[];
};

/** By it `virga hosts domains` and people see what it is. */
export const benchMark = element('bench:guest', { 'xmlns:bench': 'urn:virga:bench:1' });

/** Serial of the disk of that number, by which the guest finds it. */
export const serialOf = (index: number): string => `bench${index}`;

/** Address of card `index` of a guest; those of one number are on one network. Of the range of QEMU. */
export const macOf = (guest: number, card: number): string =>
  `52:54:00:be:${[guest, card].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;

export type GuestPlace = {
  name: string;
  number: number;
  uuid: string;
  files: InstanceFiles;
  /** What its root disk rests on. */
  image: string;
  network: string | null;
  host: HostChoices;
};

export function benchGuestXml(spec: GuestSpec, place: GuestPlace): string {
  const desired: DesiredInstance = {
    ...instanceDefaults,
    id: newId('instance'),
    cloudId: 'bench',
    projectId: newId('project'),
    name: place.name,
    description: 'measures its host, and is gone by itself',
    uuid: place.uuid,
    domainName: place.name,
    generation: 1,
    vcpus: spec.vcpus,
    maxVcpus: spec.vcpus,
    memoryMib: spec.memoryMib,
    maxMemoryMib: spec.memoryMib,
    memoryBacking: { hugePageKib: spec.hugePageKib ?? null, mergeable: true },
    firmware: 'bios',
    // It is thrown away: nothing of it needs to last.
    rootDisk: {
      id: newId('volume'),
      imageId: newId('image'),
      sizeBytes: 0,
      driver: { cache: 'unsafe', aio: 'threads' },
    },
    nics: [],
    seed: { hostName: 'bench', publicKeys: [], userData: null },
    power: { state: 'running' },
    reboot: null,
  };
  const generated = domainXml({
    desired,
    record: recordOf(desired, null),
    files: place.files,
    rootDisk: {
      path: place.files.rootDisk,
      format: 'qcow2',
      base: sharedSource({ path: place.image, format: 'qcow2' }),
    },
    volumes: new Map(),
    disc: null,
    networkNames: new Map(),
    host: place.host,
    metadata: benchMark,
  });
  const devices = [
    ...(spec.disks ?? []).map((disk, index) => diskXml(disk, index)),
    ...(spec.cards ?? []).map((model, index) => cardXml(model, macOf(place.number, index), place.network!)),
  ];
  const overlay = devices.map((xml): OverlayChange => ({ op: 'add', path: '/domain/devices', xml }));
  const { xml, conflicts } = withOverlay(generated, overlay);
  if (conflicts.length > 0) throw new RangeError(conflicts.join(' '));
  return xml;
}

/** Letters from here on are not those of root disk and seed. */
const firstLetter = 'c'.charCodeAt(0);

function diskXml({ file, format, cache, aio, bus }: BenchDisk, index: number): string {
  const dev = `${bus === 'virtio' ? 'vd' : 'sd'}${String.fromCharCode(firstLetter + index)}`;
  return element(
    'disk',
    { type: 'file', device: 'disk' },
    element('driver', { name: 'qemu', type: format, cache, io: aio, discard: 'unmap' }),
    element('source', { file }),
    element('backingStore', {}),
    element('target', { dev, bus }),
    `<serial>${serialOf(index)}</serial>`,
  );
}

const cardXml = (model: 'virtio' | 'e1000', mac: string, network: string): string =>
  element(
    'interface',
    { type: 'network' },
    element('mac', { address: mac }),
    element('source', { network }),
    element('model', { type: model }),
  );

// Domain XML as a pure function of the desired instance and of what the host offers. Owns the choice of every device;
// owns no file and asks nobody. Everything is virtio, so a guest without its drivers does not boot.
// @see https://libvirt.org/formatdomain.html
import type { DesiredInstance, DesiredNic } from '@virga/contract/agent/desired';
import { volumeFile } from '../volumes/volume-folder.ts';
import { element, textElement } from '../xml.ts';
import {
  bandwidth,
  deviceAlias,
  diskCache,
  diskSerial,
  hotPlugPortElements,
  ioTune,
  volumeDisk,
} from './device-xml.ts';
import { type DomainRecord, prefixedMetadataElement } from './domain-metadata.ts';
import { memoryRoomElement, numaElement, sizeElements } from './domain-sizes.ts';

export type Architecture = 'x86_64' | 'aarch64';

/** What is the host's to decide, not the instance's. */
export type HostChoices = {
  arch: Architecture;
  acceleration: 'kvm' | 'tcg';
  /** Guests' network packets pass through the host's kernel: needed for more than one queue a card. */
  vhostNet: boolean;
  /** The storage can bypass the host's page cache (O_DIRECT), which native AIO needs. */
  directIo: boolean;
};

export type InstanceFiles = { rootDisk: string; seed: string; consoleLog: string };

export type DomainSpec = {
  desired: DesiredInstance;
  record: DomainRecord;
  files: InstanceFiles;
  /** Folder of the volumes. */
  volumesPath: string;
  /** What the root disk rests on; null when it is complete in itself. */
  image: { path: string; format: 'qcow2' | 'raw' } | null;
  /** Name of the libvirt network behind each network id. */
  networkNames: ReadonlyMap<DesiredNic['networkId'], string>;
  host: HostChoices;
};

/** Beyond this a queue costs more memory than it brings. */
const maxNetworkQueues = 8;

/** Root disk, seed, agent channel, tablet, screen, balloon, room for memory, random numbers. */
const otherPortDevices = 8;

const machine = { x86_64: 'q35', aarch64: 'virt' } as const;

export function domainXml(spec: DomainSpec): string {
  const { desired, record, host } = spec;
  return element(
    'domain',
    { type: host.acceleration === 'kvm' ? 'kvm' : 'qemu' },
    textElement('name', desired.domainName),
    textElement('uuid', desired.uuid),
    textElement('title', desired.name),
    desired.description !== '' && textElement('description', desired.description),
    element('metadata', {}, prefixedMetadataElement(record)),
    ...sizeElements(desired, host),
    firmware(desired, host),
    element('features', {}, element('acpi', {}), host.arch === 'x86_64' && element('apic', {})),
    cpu(desired, host),
    clock(host),
    textElement('on_poweroff', 'destroy'),
    textElement('on_reboot', 'restart'),
    textElement('on_crash', 'destroy'),
    element('pm', {}, element('suspend-to-mem', { enabled: 'no' }), element('suspend-to-disk', { enabled: 'no' })),
    devices(spec),
  );
}

function firmware(desired: DesiredInstance, { arch }: HostChoices): string {
  const type = textElement('type', 'hvm', { arch, machine: machine[arch] });
  if (desired.firmware === 'bios' && arch === 'x86_64') return element('os', {}, type);
  const secureBoot = element('feature', { enabled: 'no', name: 'secure-boot' });
  return element('os', { firmware: 'efi' }, type, element('firmware', {}, secureBoot));
}

function cpu(desired: DesiredInstance, { arch, acceleration }: HostChoices): string {
  const numa = numaElement(desired);
  if (acceleration === 'tcg') return element('cpu', { mode: 'maximum' }, numa);
  return element('cpu', { mode: arch === 'x86_64' ? 'host-model' : 'host-passthrough' }, numa);
}

function clock({ arch }: HostChoices): string {
  if (arch !== 'x86_64') return element('clock', { offset: 'utc' });
  return element(
    'clock',
    { offset: 'utc' },
    element('timer', { name: 'rtc', tickpolicy: 'catchup' }),
    element('timer', { name: 'pit', tickpolicy: 'delay' }),
    element('timer', { name: 'hpet', present: 'no' }),
  );
}

function devices(spec: DomainSpec): string {
  const { desired, files } = spec;
  const serialLog = element('log', { file: files.consoleLog, append: 'on' });
  return element(
    'devices',
    {},
    rootDisk(spec),
    seedDisk(files.seed),
    ...desired.volumes.map((volume) => volumeDisk(volume, volumeFile(spec.volumesPath, volume.id), spec.host)),
    ...hotPlugPortElements(otherPortDevices),
    // Firmware and kernel would look for USB devices that are not there.
    element('controller', { type: 'usb', model: 'none' }),
    ...desired.nics.map((nic) => networkCard(nic, spec)),
    element('serial', { type: 'pty' }, serialLog, element('target', { port: 0 })),
    element('console', { type: 'pty' }, element('target', { type: 'serial', port: 0 })),
    element('channel', { type: 'unix' }, element('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' })),
    element('input', { type: 'tablet', bus: 'virtio' }),
    // libvirt makes the socket in its own folder, so only who may use libvirt reaches the screen.
    element('graphics', { type: 'vnc' }, element('listen', { type: 'socket' })),
    element('video', {}, element('model', { type: 'virtio', heads: 1 })),
    element('memballoon', { model: 'virtio', freePageReporting: 'on' }),
    memoryRoomElement(desired),
    element('rng', { model: 'virtio' }, textElement('backend', '/dev/urandom', { model: 'random' })),
  );
}

function rootDisk({ desired, files, image, host }: DomainSpec): string {
  const queues = desired.maxVcpus > 1 ? desired.maxVcpus : undefined;
  // The base is shared by all clones: no guest's QEMU may own it, and none may guess what it is.
  const untouched = element('seclabel', { model: 'dac', relabel: 'no' });
  return element(
    'disk',
    { type: 'file', device: 'disk' },
    element('driver', { name: 'qemu', type: 'qcow2', ...diskCache(host.directIo), discard: 'unmap', queues }),
    element('source', { file: files.rootDisk }),
    image === null
      ? element('backingStore', {})
      : element(
          'backingStore',
          { type: 'file' },
          element('format', { type: image.format }),
          element('source', { file: image.path }, untouched),
          element('backingStore', {}),
        ),
    element('target', { dev: 'vda', bus: 'virtio' }),
    ioTune(desired.rootDisk.limits),
    textElement('serial', diskSerial(desired.rootDisk.id)),
    element('boot', { order: 1 }),
  );
}

/** A disk rather than a CD-ROM: kernels made for clouds have no driver for those. */
function seedDisk(file: string): string {
  return element(
    'disk',
    { type: 'file', device: 'disk' },
    element('driver', { name: 'qemu', type: 'raw', cache: 'writeback' }),
    element('source', { file }),
    element('backingStore', {}),
    element('target', { dev: 'vdb', bus: 'virtio' }),
    textElement('serial', 'cidata'),
    element('readonly', {}),
  );
}

export function networkCard(
  nic: DesiredNic,
  { desired, networkNames, host }: Pick<DomainSpec, 'desired' | 'networkNames' | 'host'>,
): string {
  const network = networkNames.get(nic.networkId);
  if (network === undefined) throw new RangeError(`no libvirt network is known for ${nic.networkId}`);
  const queues = Math.min(desired.maxVcpus, maxNetworkQueues);
  return element(
    'interface',
    { type: 'network' },
    element('mac', { address: nic.mac }),
    element('source', { network }),
    bandwidth(nic.limits),
    element('model', { type: 'virtio' }),
    host.vhostNet && queues > 1 && element('driver', { name: 'vhost', queues }),
    element('alias', { name: deviceAlias(nic.id) }),
  );
}

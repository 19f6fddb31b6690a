// Domain XML as a pure function of the desired instance and of what the host offers. Owns the choice of every device;
// owns no file and asks nobody. What kind of machine it is decides machine-profile.ts.
// @see https://libvirt.org/formatdomain.html
import type { DesiredInstance, DesiredNic } from '@virga/contract/agent/desired';
import type { VolumeId } from '@virga/contract/ids';
import { type DiskSource, diskType, sourceElements } from '../disks/disk-source.ts';
import { element, textElement } from '../xml.ts';
import { cpuTuneElement, modelElement, numaTuneElement } from './cpu-xml.ts';
import { bandwidth, deviceAlias, diskSerial, hotPlugPortElements, ioTune, volumeDisk } from './device-xml.ts';
import { driverAttributes, ioThreadElements, ioThreadIds } from './disk-driver-xml.ts';
import type { HostChoices } from './domain-host.ts';
import { type DomainRecord, prefixedMetadataElement } from './domain-metadata.ts';
import { memoryRoomElement, numaElement, sizeElements } from './domain-sizes.ts';
import {
  bootElement,
  bootOrderOf,
  cdromDrive,
  featuresElement,
  osElement,
  tpmElement,
  watchdogElement,
} from './hardware-xml.ts';
import { type MachineProfile, machineProfile } from './machine-profile.ts';
import { balloonElement, memoryBackingElement } from './memory-backing.ts';
import { qemuNamespace, sharedMemory, type WarmStart } from './shared-memory.ts';

export type { WarmStart } from './shared-memory.ts';

export type InstanceFiles = {
  rootDisk: string;
  seed: string;
  consoleLog: string;
  /** Beginning of the names of the files that UEFI keeps its variables in. */
  nvram: string;
};

export type DomainSpec = {
  desired: DesiredInstance;
  record: DomainRecord;
  files: InstanceFiles;
  rootDisk: DiskSource;
  /** Of every volume that it is to have. */
  volumes: ReadonlyMap<VolumeId, DiskSource>;
  /** File of the disc in the drive; null when there is none. */
  disc: string | null;
  /** Name of the libvirt network behind each network id. */
  networkNames: ReadonlyMap<DesiredNic['networkId'], string>;
  host: HostChoices;
  /** In place of what an instance says of itself. */
  metadata?: string | undefined;
  /** Set for a machine that is copied, or is a copy. */
  warm?: WarmStart | undefined;
};

/** Beyond this a queue costs more memory than it brings. */
const maxNetworkQueues = 8;

/** Root disk, seed, agent channel, tablet, screen, balloon, room for memory, random numbers. */
const otherPortDevices = 8;

export function domainXml(spec: DomainSpec): string {
  const { desired, record, host } = spec;
  const sizes = sizesOf(desired, host);
  return element(
    'domain',
    { type: host.acceleration === 'kvm' ? 'kvm' : 'qemu', ...(spec.warm && qemuNamespace) },
    textElement('name', desired.domainName),
    textElement('uuid', desired.uuid),
    textElement('title', desired.name),
    desired.description !== '' && textElement('description', desired.description),
    spec.warm && textElement('genid', spec.warm.genId),
    element('metadata', {}, spec.metadata ?? prefixedMetadataElement(record)),
    ...sizeElements(sizes, host),
    ...ioThreadElements(desired),
    memoryBackingElement(desired),
    cpuTuneElement(desired, host, ioThreadIds(desired)),
    numaTuneElement(desired),
    osElement(desired, host, spec.files.nvram),
    featuresElement(desired, host),
    cpu(sizes, host),
    clock(host),
    textElement('on_poweroff', 'destroy'),
    textElement('on_reboot', 'restart'),
    textElement('on_crash', 'destroy'),
    element('pm', {}, element('suspend-to-mem', { enabled: 'no' }), element('suspend-to-disk', { enabled: 'no' })),
    devices(spec),
    spec.warm && sharedMemory(desired, spec.warm),
  );
}

/** Memory is added by a virtio device; a machine without has what it starts with. */
function sizesOf(desired: DesiredInstance, { arch }: HostChoices): DesiredInstance {
  const { isParavirtual } = machineProfile(desired.hardware, arch);
  return isParavirtual ? desired : { ...desired, maxMemoryMib: desired.memoryMib };
}

function cpu(desired: DesiredInstance, { arch, acceleration, cpus }: HostChoices): string {
  const numa = numaElement(desired);
  if (cpus?.guestModel) return modelElement(cpus.guestModel, numa);
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
  const { desired, files, host } = spec;
  const profile = machineProfile(desired.hardware, host.arch);
  const { isParavirtual } = profile;
  const serialLog = element('log', { file: files.consoleLog, append: 'on' });
  return element(
    'devices',
    {},
    rootDisk(spec, profile),
    seedDisk(files.seed, profile),
    cdromDrive(desired, profile, spec.disc),
    ...desired.volumes.map((volume) =>
      volumeDisk(volume, volumeSource(spec, volume.id), { ...host, hardware: desired.hardware }),
    ),
    ...(isParavirtual ? hotPlugPortElements(otherPortDevices + desired.volumes.length + desired.nics.length) : []),
    profile.cdrom.bus === 'scsi' &&
      desired.cdrom !== null &&
      element('controller', { type: 'scsi', model: 'virtio-scsi' }),
    // On virtio there is nothing on USB, and firmware and kernel would look for it.
    element('controller', { type: 'usb', model: isParavirtual ? 'none' : 'piix3-uhci' }),
    ...desired.nics.map((nic) => networkCard(nic, spec)),
    element('serial', { type: 'pty' }, serialLog, element('target', { port: 0 })),
    element('console', { type: 'pty' }, element('target', { type: 'serial', port: 0 })),
    isParavirtual &&
      element('channel', { type: 'unix' }, element('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' })),
    element('input', { type: 'tablet', bus: isParavirtual ? 'virtio' : 'usb' }),
    tpmElement(desired),
    // libvirt makes the socket in its own folder, so only who may use libvirt reaches the screen.
    element('graphics', { type: 'vnc' }, element('listen', { type: 'socket' })),
    element('video', {}, element('model', { type: profile.videoModel, heads: 1 })),
    watchdogElement(desired),
    isParavirtual && !spec.warm ? balloonElement(desired) : element('memballoon', { model: 'none' }),
    isParavirtual && memoryRoomElement(desired),
    isParavirtual && element('rng', { model: 'virtio' }, textElement('backend', '/dev/urandom', { model: 'random' })),
  );
}

function volumeSource({ volumes }: DomainSpec, id: VolumeId): DiskSource {
  const source = volumes.get(id);
  if (source === undefined) throw new RangeError(`no disk is known for ${id}`);
  return source;
}

function rootDisk({ desired, rootDisk: source, host }: DomainSpec, { root }: MachineProfile): string {
  const queues = root.bus === 'virtio' && desired.maxVcpus > 1 ? desired.maxVcpus : undefined;
  return element(
    'disk',
    { type: diskType(source), device: 'disk' },
    element('driver', {
      name: 'qemu',
      type: source.format,
      ...driverAttributes(desired.rootDisk.driver, root, { directIo: source.directIo ?? host.directIo }),
      queues,
    }),
    ...sourceElements(source),
    element('target', root),
    ioTune(desired.rootDisk.limits),
    textElement('serial', diskSerial(desired.rootDisk.id)),
    bootElement(bootOrderOf(desired)('disk')),
  );
}

function seedDisk(file: string, { seed: { device, ...place } }: MachineProfile): string {
  return element(
    'disk',
    { type: 'file', device },
    element('driver', { name: 'qemu', type: 'raw', cache: 'writeback' }),
    element('source', { file }),
    element('backingStore', {}),
    element('target', place),
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
  const { nicModel } = machineProfile(desired.hardware, host.arch);
  const queues = nicModel === 'virtio' ? Math.min(desired.maxVcpus, maxNetworkQueues) : 1;
  return element(
    'interface',
    { type: 'network' },
    element('mac', { address: nic.mac }),
    element('source', { network }),
    bandwidth(nic.limits),
    element('model', { type: nicModel }),
    host.vhostNet && queues > 1 && element('driver', { name: 'vhost', queues }),
    bootElement(bootOrderOf(desired)('network', desired.nics.indexOf(nic))),
    element('alias', { name: deviceAlias(nic.id) }),
  );
}

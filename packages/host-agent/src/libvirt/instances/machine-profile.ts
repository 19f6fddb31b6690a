// The kinds of machine that a guest can be given, as data: chipset, buses, models of devices. Pure. What virtio has and the
// others lack: a disk and a card that are fast, the channel of the guest agent, a balloon, memory and devices that come and
// go while the guest runs.
import type { DesiredInstance, DesiredVolumeAttachment } from '@virga/contract/agent/desired';
import type { Architecture } from './domain-host.ts';

export type DiskBus = 'virtio' | 'sata' | 'ide' | 'scsi';
/** Where a disk or a drive sits. */
export type DiskPlace = { dev: string; bus: DiskBus };

export type MachineProfile = {
  /** libvirt's name of the newest machine of the kind. */
  machine: 'q35' | 'pc' | 'virt';
  /** All but the drive is virtio. */
  isParavirtual: boolean;
  root: DiskPlace;
  /** A disk where it can be: kernels made for clouds have no driver for CD-ROMs. IDE and AHCI have no read-only disks. */
  seed: DiskPlace & { device: 'disk' | 'cdrom' };
  cdrom: DiskPlace;
  nicModel: 'virtio' | 'e1000';
  videoModel: 'virtio' | 'vga';
};

const virtio: Record<Architecture, MachineProfile> = {
  x86_64: {
    machine: 'q35',
    isParavirtual: true,
    root: { dev: 'vda', bus: 'virtio' },
    seed: { dev: 'vdb', bus: 'virtio', device: 'disk' },
    cdrom: { dev: 'sda', bus: 'sata' },
    nicModel: 'virtio',
    videoModel: 'virtio',
  },
  aarch64: {
    machine: 'virt',
    isParavirtual: true,
    root: { dev: 'vda', bus: 'virtio' },
    seed: { dev: 'vdb', bus: 'virtio', device: 'disk' },
    cdrom: { dev: 'sda', bus: 'scsi' },
    nicModel: 'virtio',
    videoModel: 'virtio',
  },
};

const emulated: MachineProfile = {
  machine: 'q35',
  isParavirtual: false,
  root: { dev: 'sda', bus: 'sata' },
  seed: { dev: 'sdb', bus: 'sata', device: 'cdrom' },
  cdrom: { dev: 'sdc', bus: 'sata' },
  nicModel: 'e1000',
  videoModel: 'vga',
};

const legacy: MachineProfile = {
  machine: 'pc',
  isParavirtual: false,
  root: { dev: 'hda', bus: 'ide' },
  seed: { dev: 'hdb', bus: 'ide', device: 'cdrom' },
  cdrom: { dev: 'hdc', bus: 'ide' },
  nicModel: 'e1000',
  videoModel: 'vga',
};

export function machineProfile(hardware: DesiredInstance['hardware'], arch: Architecture): MachineProfile {
  if (hardware === 'virtio') return virtio[arch];
  return hardware === 'emulated' ? emulated : legacy;
}

/** The first letter that a volume gets: root disk and seed come before. */
const firstVolumeLetter = 'c';

/** Where a volume sits. On virtio that is its target; elsewhere it has the same place among the volumes. */
export function volumePlace(
  { target }: Pick<DesiredVolumeAttachment, 'target'>,
  hardware: DesiredInstance['hardware'],
): DiskPlace {
  if (hardware === 'virtio') return { dev: target, bus: target.startsWith('v') ? 'virtio' : 'sata' };
  const number = target.charCodeAt(2) - firstVolumeLetter.charCodeAt(0);
  // The drive comes before on AHCI. IDE is full with three, so that volumes have a controller of their own there.
  const first = hardware === 'emulated' ? 'd' : 'a';
  return { dev: `sd${String.fromCharCode(first.charCodeAt(0) + number)}`, bus: 'sata' };
}

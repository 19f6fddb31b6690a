// The disks of a host as its kernel shows them: what kind each is, how it is scheduled, and whether what it has acknowledged
// outlives a power cut. Observed, never configured.
import { type Static, Type } from 'typebox';
import type { CallContext } from './call-context.ts';

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);

/** `virtual`: a disk that another hypervisor or a cloud shows to this machine. */
export const BlockDeviceClass = Type.Union([
  Type.Literal('nvme'),
  Type.Literal('ssd'),
  Type.Literal('rotating'),
  Type.Literal('virtual'),
]);
export type BlockDeviceClass = Static<typeof BlockDeviceClass>;

/** `write back`: a write is acknowledged while it is only in the cache of the device. */
export const WriteCache = Type.Union([Type.Literal('write back'), Type.Literal('write through')]);
export type WriteCache = Static<typeof WriteCache>;

export const BlockDevice = Type.Object({
  name: Type.String({ description: 'as in /sys/block, such as sda or nvme0n1; may be another one after a reboot' }),
  id: Nullable(Type.String({ description: 'its own, such as a WWN or serial number, the same after every reboot' })),
  class: BlockDeviceClass,
  sizeBytes: Type.Integer(),
  vendor: Nullable(Type.String()),
  model: Nullable(Type.String()),
  rotational: Type.Boolean(),
  scheduler: Type.Object({
    /** As its kernel names them: none, mq-deadline, bfq, kyber; noop, deadline, cfq on kernels before 5.0. */
    available: Type.Array(Type.String()),
    chosen: Nullable(Type.String()),
  }),
  writeCache: Nullable(WriteCache),
  controller: Nullable(Type.String({ description: 'driver of the RAID controller that it is behind' })),
  /** What rests on it, such as md0 or dm-0, through any number of layers. */
  usedBy: Type.Array(Type.String()),
});
export type BlockDevice = Static<typeof BlockDevice>;

/** Something that was read of a device, and where. */
export const Reading = Type.Object({ from: Type.String({ description: 'file or command' }), value: Type.String() });
export type Reading = Static<typeof Reading>;

/**
 * Whether what the device has acknowledged outlives a power cut. `safe`: it says that it has no volatile cache, or one that
 * a battery or capacitor keeps. `volatile`: it says that it has one without. `unknown`: it says nothing, or cannot be
 * believed, such as a disk of a hypervisor.
 */
export const PowerLossProtection = Type.Object({
  verdict: Type.Union([Type.Literal('safe'), Type.Literal('volatile'), Type.Literal('unknown')]),
  why: Type.String({ description: 'one sentence' }),
  read: Type.Array(Reading),
  /** Guests' disks on it may have the cache mode writeback without an administrator's word. */
  allowsWriteback: Type.Boolean(),
});
export type PowerLossProtection = Static<typeof PowerLossProtection>;

export const HostDisk = Type.Object({ ...BlockDevice.properties, protection: PowerLossProtection });
export type HostDisk = Static<typeof HostDisk>;

/** Where a folder lies. */
export const FolderDevices = Type.Object({
  path: Type.String(),
  /** The disks at the bottom, by name; none when that is unknown. */
  devices: Type.Array(Type.String()),
  /** Layers between, such as md0 or dm-1, from above to below. */
  through: Type.Array(Type.String()),
  fileSystem: Nullable(Type.String({ description: 'such as ext4' })),
  why: Nullable(Type.String({ description: 'why the disks are unknown' })),
});
export type FolderDevices = Static<typeof FolderDevices>;

export const HostDisks = Type.Object({ disks: Type.Array(HostDisk), storage: FolderDevices });
export type HostDisks = Static<typeof HostDisks>;

/** A disk that the storage folder lies on, as placement and refusals need it. */
export const StorageDevice = Type.Object({
  name: Type.String(),
  id: Nullable(Type.String()),
  class: BlockDeviceClass,
  verdict: PowerLossProtection.properties.verdict,
  why: Type.String(),
  allowsWriteback: Type.Boolean(),
});
export type StorageDevice = Static<typeof StorageDevice>;

/** What storage and QEMU of a host can do for guests' disks. */
export const DiskAbilities = Type.Object({
  directIo: Type.Boolean({ description: "files of the storage can be opened past the host's page cache" }),
  ioUring: Type.Boolean({ description: 'QEMU, kernel and libvirt can use io_uring there' }),
});
export type DiskAbilities = Static<typeof DiskAbilities>;

/** How a device is remembered: by what stays the same after a reboot, where it has that. */
export const deviceKey = ({ id, name }: Pick<BlockDevice, 'id' | 'name'>): string => id ?? name;

/** The part of a host agent that knows its disks. */
export interface DiskLooking {
  /** Disks of the host, read now. @throws HostUnavailable */
  hostDisks(context?: CallContext): Promise<HostDisks>;
}

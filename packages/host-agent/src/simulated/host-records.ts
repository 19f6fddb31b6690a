// What a simulated host remembers: plain data, so that it can be written down and read back as it is.
import type {
  DesiredInstance,
  DesiredNetwork,
  DesiredNic,
  DesiredVolumeAttachment,
  DiskDriver,
  DiskLimits,
} from '@virga/contract/agent/desired';
import type { ForeignDomainDetails } from '@virga/contract/agent/foreign';
import type { ObservedImage, ObservedReason } from '@virga/contract/agent/observed';
import type { ObservedSnapshot } from '@virga/contract/agent/snapshots';
import type { DesiredShell, DesiredTemplate } from '@virga/contract/agent/warm';
import type { InstanceId, PoolId } from '@virga/contract/ids';
import type { DomainRecord } from '../libvirt/instances/domain-metadata.ts';
import type { FolderOwner } from '../libvirt/instances/instance-folder.ts';
import type { MovingDisk } from '../libvirt/moves/move-record.ts';
import type { VolumeRecord } from '../libvirt/volumes/volume-record.ts';

export type StoredImage = ObservedImage & { generation: number };

/** A volume; without a file when somebody removed its disk. */
export type StoredVolume = VolumeRecord & { fileBytes: number | null };

/** A volume, or the root disk of an instance, that is on its way to another pool. */
export type StoredMove = {
  token: string;
  before: StoredVolume & Pick<MovingDisk, 'isRoot'>;
  after: StoredVolume;
  /** Absent in what an earlier version wrote down, and of what is no root disk. */
  holder?: InstanceId | undefined;
  /** As the guest that has it was when the copy was whole; undefined: it is not. */
  copiedAs?: string | undefined;
  isSwitched: boolean;
};

export type StoredNetwork = { network: DesiredNetwork; active: boolean };

/** The folder of an instance, and what lies in it. */
export type StoredFolder = {
  owner: FolderOwner;
  /** Null while there is no root disk. */
  rootDiskBytes: number | null;
  /** What a guest sees of it. Absent in what an earlier version wrote down. */
  diskSizeBytes?: number | undefined;
  hasSeed: boolean;
  /** Its domain has been there. */
  wasDefined?: true | undefined;
  /** Its domain has gone to another host. */
  hasLeft?: true | undefined;
  /** What the serial console printed, the end of it. */
  consoleLog: string;
  /** Its disk is a copy of one that has something to boot. */
  isCopy?: boolean | undefined;
  /** Token of the last revert to a snapshot. */
  lastRevert?: string | undefined;
};

/** What a guest that runs has; its definition may have more or less. */
export type GuestDevices = {
  volumes: DesiredVolumeAttachment[];
  nics: DesiredNic[];
  rootDiskLimits?: DiskLimits | undefined;
  rootDiskDriver?: DiskDriver | undefined;
  /** Absent in what an earlier version wrote down. */
  cdrom?: DesiredInstance['cdrom'] | undefined;
};

/** What a guest that runs has, and can have; its definition may say otherwise. */
export type GuestSizes = {
  vcpus: number;
  maxVcpus: number;
  memoryMib: number;
  /** What it was asked to have: it may keep more. */
  wantedMemoryMib: number;
  maxMemoryMib: number;
};

export type StoredDomain = {
  record: DomainRecord;
  /** What somebody has made of its definition, beside Virga. */
  changedTo?: string;
  /** False for a domain that was undefined while it ran: it is gone when it stops. */
  isDefined: boolean;
  power: 'running' | 'paused' | 'off';
  reason: ObservedReason;
  /** Until when Virga gave the guest time to shut down, in milliseconds since 1970; null when it asked for nothing. */
  askedToStopUntilMs: number | null;
  /** When the guest will have shut down, in milliseconds since 1970; null when it is not about to. */
  offAtMs: number | null;
  boots: number;
  /** Its memory is still coming from another host. */
  isMoving?: true | undefined;
  /** The name that it has, while that is not the one that is desired. */
  name?: string | undefined;
  /** It was started standing still, and has yet to boot. */
  isUnbooted?: boolean | undefined;
  /** Its memory, which the next start goes on from, while it is off. */
  savedMemory?: 'whole' | 'broken' | undefined;
  /** Of its guest, since it was started. */
  devices?: GuestDevices | undefined;
  sizes?: GuestSizes | undefined;
  /** What somebody has made of how its guest runs, until it is off. */
  ran?: { cpus?: number[]; shares?: number; capPercent?: number } | undefined;
};

export const nameOf = ({ name, record }: Pick<StoredDomain, 'name' | 'record'>): string =>
  name ?? record.desired.domainName;

export const desiredDevices = ({ volumes, nics, rootDisk, cdrom }: DesiredInstance): GuestDevices => ({
  volumes,
  nics,
  rootDiskLimits: rootDisk.limits,
  rootDiskDriver: rootDisk.driver,
  cdrom,
});

/** What a domain has: its guest's devices, or, of one that is off, those of its definition. */
export const devicesOf = ({ devices, record, power }: StoredDomain): GuestDevices =>
  power === 'off' || devices === undefined ? desiredDevices(record.desired) : devices;

/** A domain of somebody else. */
export type StoredForeignDomain = ForeignDomainDetails & { boots: number };

/** The guest that would be copied; not ready when its memory is gone. */
export type StoredTemplate = DesiredTemplate & { isReady: boolean };

export type StoredShell = DesiredShell;

export type StoredSnapshot = Omit<ObservedSnapshot, 'usedBytes' | 'clones' | 'intact'> & {
  /** By its disks: it is being merged. */
  isForgotten?: true;
};

export type StoredBoot = { count: number };

/** True when there is something to boot in such a machine. */
export function isBootable({ rootDisk, cdrom, bootOrder }: DesiredInstance): boolean {
  const hasDisc = (cdrom?.imageId ?? null) !== null;
  const hasSystem = rootDisk.imageId !== null || rootDisk.restored !== undefined;
  return (hasSystem && bootOrder.includes('disk')) || (hasDisc && bootOrder.includes('cdrom'));
}

/** A file of the host itself that is not as it was made with; null: it is gone. */
export type StoredFile = { content: string | null };

/** What tests make of the pools of a host. */
export type SimulatedPools = { poolBytes: number; awayPools: Set<PoolId> };

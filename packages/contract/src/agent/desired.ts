// What the control plane asks of a host: whole desired objects, never commands. Each carries the cloud it belongs to,
// so that an agent touches nothing of somebody else's, and a generation, so that a late request is refused.
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { IdSchema } from '../ids.ts';
import { ImageSource } from './image-source.ts';

const rate = (what: string, maximum: number, minimum = 1) =>
  Type.Optional(Type.Integer({ minimum, maximum, description: what }));
/** What QEMU and the kernel can count, with room to spare. */
const maxIops = 1_000_000_000;
const maxBytesPerSecond = 100_000_000_000;

/** Rates of reading and writing together; absent is unlimited. */
export const DiskLimits = Type.Object(
  {
    iops: rate('operations a second', maxIops),
    bytesPerSecond: rate('bytes a second', maxBytesPerSecond),
    burstIops: rate('operations a second for burstSeconds, when it was slower before', maxIops),
    burstBytesPerSecond: rate('bytes a second for burstSeconds, when it was slower before', maxBytesPerSecond),
    burstSeconds: rate('how long a burst may last; default 1', 3600),
  },
  { additionalProperties: false },
);
export type DiskLimits = Static<typeof DiskLimits>;

/** Absent is unlimited. */
export const NicLimits = Type.Object(
  {
    inboundBytesPerSecond: rate('what the guest receives', maxBytesPerSecond, 1000),
    outboundBytesPerSecond: rate('what the guest sends', maxBytesPerSecond, 1000),
    burstBytes: rate('may pass at once at any rate, each way', 1_000_000_000, 1024),
  },
  { additionalProperties: false },
);
export type NicLimits = Static<typeof NicLimits>;

/**
 * Where vCPUs run. `shared`: on the host CPUs that nobody has for himself. `dedicated`: each vCPU on a host CPU of its own,
 * whose hyper-thread siblings no other instance uses. `numa`: shared, but all in one node with its memory. `isolated`:
 * dedicated, on CPUs that the kernel gives no other work, the emulator kept away from them too.
 */
export const CpuPolicy = Type.Union([
  Type.Literal('shared'),
  Type.Literal('dedicated'),
  Type.Literal('numa'),
  Type.Literal('isolated'),
]);
export type CpuPolicy = Static<typeof CpuPolicy>;

export const CpuTuning = Type.Object({
  policy: CpuPolicy,
  /**
   * Host CPUs that its vCPUs have for themselves, chosen by placement: vCPU i runs on the i-th. Empty unless dedicated or
   * isolated; then it runs where the host's shared ones are, within `node` when that is given.
   */
  hostCpus: Type.Array(Type.Integer({ minimum: 0 })),
  /** NUMA node of its memory and vCPUs; null: anywhere. */
  node: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
  /** Weight against other guests when CPUs are short; null: 100, what the kernel gives every guest. */
  shares: Type.Union([Type.Integer({ minimum: 1, maximum: 10_000 }), Type.Null()]),
  /** At most this much of a host CPU for each vCPU, in percent; null: no limit. */
  capPercent: Type.Union([Type.Integer({ minimum: 1, maximum: 100 }), Type.Null()]),
});
export type CpuTuning = Static<typeof CpuTuning>;

export const MemoryBacking = Type.Object({
  /** Static huge pages of this size, reserved on the host; null: ordinary pages. */
  hugePageKib: Type.Union([Type.Literal(2048), Type.Literal(1_048_576), Type.Null()]),
  /** KSM may merge its pages with those of others. As the guest was started. */
  mergeable: Type.Boolean(),
});
export type MemoryBacking = Static<typeof MemoryBacking>;

/** How QEMU reads and writes a disk's file; what is absent is as the host does it best and safely. */
export const DiskDriver = Type.Object(
  {
    cache: Type.Optional(
      Type.Union([
        Type.Literal('none'),
        Type.Literal('writethrough'),
        Type.Literal('writeback'),
        Type.Literal('directsync'),
        Type.Literal('unsafe'),
      ]),
    ),
    aio: Type.Optional(Type.Union([Type.Literal('threads'), Type.Literal('native'), Type.Literal('io_uring')])),
    discard: Type.Optional(Type.Union([Type.Literal('unmap'), Type.Literal('ignore')])),
    ioThread: Type.Optional(Type.Boolean({ description: 'a thread of its own for this disk' })),
  },
  { additionalProperties: false },
);
export type DiskDriver = Static<typeof DiskDriver>;

export const DesiredNic = Type.Object({
  id: IdSchema('networkInterface'),
  networkId: IdSchema('network'),
  mac: Type.String(),
  address: Type.String({ description: 'IPv4 without prefix length, leased to this MAC' }),
  limits: Type.Optional(NicLimits),
});
export type DesiredNic = Static<typeof DesiredNic>;

/** A volume in a guest. `target` is its place, such as vdc; the guest finds it by its serial, the id without dash. */
export const DesiredVolumeAttachment = Type.Object({
  id: IdSchema('volume'),
  target: Type.String({ pattern: '^[vs]d[a-z]$' }),
  readOnly: Type.Boolean(),
  limits: Type.Optional(DiskLimits),
  driver: Type.Optional(DiskDriver),
});
export type DesiredVolumeAttachment = Static<typeof DesiredVolumeAttachment>;

/**
 * Power. `running`: also lets a paused guest go on, and wakes a hibernated one. `paused`: stands still with its memory on
 * the host; one that is off is started standing still. `stopped`: by ACPI until `forceAt` (UTC), then cut off; one that is
 * hibernated stays so until then, when its saved memory is given up. `hibernated`: memory saved to the host's disk; one that
 * is off stays so.
 */
export const DesiredPower = Type.Union([
  Type.Object({ state: Type.Literal('running') }),
  Type.Object({ state: Type.Literal('paused') }),
  Type.Object({ state: Type.Literal('stopped'), forceAt: Type.String() }),
  Type.Object({ state: Type.Literal('hibernated') }),
]);
export type DesiredPower = Static<typeof DesiredPower>;

/**
 * `acpi`: the power button's little brother. `agent`: by the guest agent. `reset`: at once, as the button on the front.
 * `cycle`: off by ACPI until `forceAt`, at once without one, cut off then, and on again from a fresh definition; one that
 * is off has had it.
 */
export const DesiredReboot = Type.Object({
  token: Type.String(),
  how: Type.Union([Type.Literal('acpi'), Type.Literal('agent'), Type.Literal('reset'), Type.Literal('cycle')]),
  forceAt: Type.Optional(Type.String()),
});
export type DesiredReboot = Static<typeof DesiredReboot>;

export const Firmware = Type.Union([Type.Literal('bios'), Type.Literal('uefi'), Type.Literal('uefi-secure')]);
export type Firmware = Static<typeof Firmware>;

/** `virtio`: paravirtual devices. `emulated`: q35 with AHCI, e1000 and VGA. `legacy`: i440fx with IDE, e1000 and VGA. */
export const Hardware = Type.Union([Type.Literal('virtio'), Type.Literal('emulated'), Type.Literal('legacy')]);
export type Hardware = Static<typeof Hardware>;

/** What the host does when the guest stops feeding its watchdog. */
export const WatchdogAction = Type.Union([Type.Literal('reset'), Type.Literal('poweroff'), Type.Literal('pause')]);
export type WatchdogAction = Static<typeof WatchdogAction>;

export const BootDevice = Type.Union([Type.Literal('disk'), Type.Literal('cdrom'), Type.Literal('network')]);
export type BootDevice = Static<typeof BootDevice>;

/**
 * One place of the domain XML that differs from what is generated. `path` leads to an element: names with an optional
 * predicate, such as `/domain/devices/interface[@alias="ua-eni-1"]`. `xml` is a whole element.
 */
export const OverlayChange = Type.Union([
  Type.Object({ op: Type.Literal('set'), path: Type.String(), xml: Type.String() }),
  Type.Object({ op: Type.Literal('add'), path: Type.String(), xml: Type.String() }),
  Type.Object({ op: Type.Literal('remove'), path: Type.String() }),
]);
export type OverlayChange = Static<typeof OverlayChange>;

/** A disk that was fetched from a backup store, which becomes this one when there is none yet. Of no meaning after that. */
export const RestoredDisk = Type.Object({ id: IdSchema('restore'), disk: IdSchema('volume') });
export type RestoredDisk = Static<typeof RestoredDisk>;

export const DesiredInstance = Type.Object({
  id: IdSchema('instance'),
  cloudId: Type.String(),
  projectId: IdSchema('project'),
  name: Type.String(),
  description: Type.String(),
  /** Domain UUID, chosen by the control plane before anything exists. */
  uuid: Type.String(),
  /** Domain name, unique on the host. A running domain keeps the one it has until it is off. */
  domainName: Type.String(),
  generation: Type.Integer(),
  /** Sizes change while the guest runs where host and guest can do that; what cannot is as desired at the next start. */
  vcpus: Type.Integer(),
  /** Up to here vCPUs can be added while it runs; at least `vcpus`. */
  maxVcpus: Type.Integer(),
  memoryMib: Type.Integer(),
  /** Up to here memory can be added while it runs; at least `memoryMib`. */
  maxMemoryMib: Type.Integer(),
  cpu: CpuTuning,
  memoryBacking: MemoryBacking,
  hardware: Hardware,
  firmware: Firmware,
  /** A TPM 2.0 of its own, emulated by swtpm. */
  tpm: Type.Boolean(),
  watchdog: Type.Union([WatchdogAction, Type.Null()]),
  bootOrder: Type.Array(BootDevice),
  /** Null: no drive. A drive may be empty. `forced`: its tray opens also when the guest has locked it. */
  cdrom: Type.Union([
    Type.Object({ imageId: Type.Union([IdSchema('image'), Type.Null()]), forced: Type.Optional(Type.Boolean()) }),
    Type.Null(),
  ]),
  rootDisk: Type.Object({
    id: IdSchema('volume'),
    /** Null: an empty disk, to install on. */
    imageId: Type.Union([IdSchema('image'), Type.Null()]),
    sizeBytes: Type.Integer({ description: 'at least the virtual size of the image' }),
    /**
     * Absent: in the host's own storage. In a pool that is a folder it lies with all else of the instance; in one of Ceph it
     * is raw, alone, and a clone of a copy of its image that the pool keeps.
     */
    pool: Type.Optional(IdSchema('pool')),
    /** A full one is a copy, and rests on nothing. Default linked. Of no meaning once it is made. */
    clone: Type.Optional(Type.Union([Type.Literal('linked'), Type.Literal('full')])),
    limits: Type.Optional(DiskLimits),
    driver: Type.Optional(DiskDriver),
    restored: Type.Optional(RestoredDisk),
  }),
  volumes: Type.Array(DesiredVolumeAttachment),
  nics: Type.Array(DesiredNic),
  seed: Type.Object({
    hostName: Type.String(),
    publicKeys: Type.Array(Type.String()),
    userData: Type.Union([Type.String({ description: 'base64' }), Type.Null()]),
  }),
  power: DesiredPower,
  /** The last reboot that was asked for. An agent that has done this token does not do it again. */
  reboot: Type.Union([DesiredReboot, Type.Null()]),
  /** Differences from the generated domain XML that were asked for, or kept from outside. */
  overlay: Type.Array(OverlayChange),
  /** `adopted`: the domain was somebody else's; its definition and disks are as they came, and are never deleted. */
  origin: Type.Union([Type.Literal('launched'), Type.Literal('adopted')]),
  /** The change from outside that was decided about: what it made of the definition may be written over. */
  settledDrift: Type.Optional(Type.String()),
  /** What the control plane needs to rebuild its row from the host; agents keep it and look at nothing of it. */
  keepsake: Type.Record(Type.String(), Type.Unknown()),
  /** Devices of the host, by key, on which an administrator allows the cache mode writeback in spite of what they say. */
  volatileWriteback: Type.Optional(Type.Array(Type.String())),
  /**
   * It may begin as a copy of this template, from the shell that has its id or one that is made for it. Where that fails it
   * begins cold. Of no meaning once it has begun.
   */
  warm: Type.Optional(Type.Object({ templateId: IdSchema('template') })),
});
export type DesiredInstance = Static<typeof DesiredInstance>;

/** What an instance is unless it says otherwise: also how records of earlier versions are read. */
export const instanceDefaults = {
  description: '',
  cpu: { policy: 'shared', hostCpus: [], node: null, shares: null, capPercent: null },
  memoryBacking: { hugePageKib: null, mergeable: true },
  hardware: 'virtio',
  tpm: false,
  watchdog: null,
  bootOrder: ['disk'],
  cdrom: null,
  volumes: [],
  overlay: [],
  origin: 'launched',
  keepsake: {},
} as const satisfies Partial<DesiredInstance>;

/** What is enough to remove an instance, even when its domain is gone. */
export type InstanceIdentity = Pick<DesiredInstance, 'id' | 'cloudId' | 'uuid' | 'domainName' | 'nics'>;

export const DesiredLease = Type.Object({ mac: Type.String(), address: Type.String(), hostName: Type.String() });
export type DesiredLease = Static<typeof DesiredLease>;

export const DesiredNetwork = Type.Object({
  id: IdSchema('network'),
  cloudId: Type.String(),
  uuid: Type.String(),
  /** Name of the libvirt network. */
  name: Type.String(),
  generation: Type.Integer(),
  kind: Type.Literal('nat'),
  cidr: Type.String(),
  gateway: Type.String(),
  /** Linux bridge, at most 15 characters. */
  bridge: Type.String(),
  leases: Type.Array(DesiredLease),
  /** As of an instance. */
  keepsake: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});
export type DesiredNetwork = Static<typeof DesiredNetwork>;

export const DesiredImage = Type.Object({
  id: IdSchema('image'),
  cloudId: Type.String(),
  generation: Type.Integer(),
  source: ImageSource,
  /** As it is kept; of a file also what it has to be already. */
  format: Type.Union([Type.Literal('qcow2'), Type.Literal('raw')]),
  /** `iso`: a CD-ROM, and raw. Default `disk`. */
  kind: Type.Optional(Type.Union([Type.Literal('disk'), Type.Literal('iso')])),
  /** As of an instance. */
  keepsake: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});
export type DesiredImage = Static<typeof DesiredImage>;
export type DesiredFileImage = DesiredImage & { source: { kind: 'file'; path: string } };

/**
 * A desired instance as it was written down, such as in a domain's metadata, by this version or an earlier one; undefined
 * when it is not well-formed.
 */
export function readDesiredInstance(value: unknown): DesiredInstance | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { vcpus, memoryMib, reboot, ...rest } = value as Record<string, unknown>;
  const current = {
    ...instanceDefaults,
    maxVcpus: vcpus,
    maxMemoryMib: memoryMib,
    ...rest,
    vcpus,
    memoryMib,
    reboot: readReboot(reboot),
  };
  return Check(DesiredInstance, current) ? current : undefined;
}

/** Before there were several ways to reboot, a token was `hard` or not. */
function readReboot(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('hard' in value)) return value;
  const { hard, ...rest } = value;
  return { ...rest, how: hard ? 'reset' : 'acpi' };
}

// What a launch needs, found and checked before anything is written: image, type, network, keys, user data, disk size.
import type { DiskDriver, DiskLimits } from '@virga/contract/agent/desired';
import { type HostFeature, neededFeatures } from '@virga/contract/agent/host-features';
import type { HugePageKib } from '@virga/contract/agent/host-memory';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import { type LaunchInstance, maxUserDataBytes } from '@virga/contract/rest/instances';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { hostsTaking, mergedDriver } from '../hosts/disk-drivers.ts';
import { refuseRoomInPages } from '../hosts/huge-page-memory.ts';
import { resolveInstanceType } from '../hosts/instance-type-operations.ts';
import { type ImageRow, resolveImage } from '../images/image-store.ts';
import { resolveKeyPairs } from '../key-pairs/key-pair-operations.ts';
import { resolveNetwork } from '../networks/network-store.ts';
import type { PoolView } from '../pools/pool-store.ts';
import { readDiskLimits } from '../volumes/disk-limits.ts';
import { type LaunchAttributes, launchAttributesOf } from './instance-attributes.ts';
import { type CpuColumns, planCpu } from './instance-cpu.ts';
import { type MachineHardware, refuseImpossible } from './instance-hardware.ts';
import { roomToGrow } from './resize-plan.ts';
import { rootPools } from './root-pool.ts';

export type LaunchPlan = {
  name: string;
  /** What the disk is cloned from; null: it is empty. */
  image: ImageRow | null;
  /** What lies in the drive at first. */
  iso: ImageRow | null;
  network: { id: Selectable<Database['networks']>['id']; name: string; cidr: string };
  type: string;
  vcpus: number;
  memoryMib: number;
  /** Null: ordinary pages. */
  hugePageKib: HugePageKib | null;
  cpu: CpuColumns;
  /** Null: no more than that. */
  maxVcpus: number | null;
  maxMemoryMib: number | null;
  diskBytes: number;
  rootDiskLimits: DiskLimits | null;
  rootDiskDriver: DiskDriver | null;
  /** How the root disk is made of the image. */
  rootClone: 'linked' | 'full';
  /** Pools of the name that was given, each of other hosts; undefined: the host's own storage. */
  pools?: PoolView[] | undefined;
  /** The only hosts that take it; undefined: every one. */
  hostIds: HostId[] | undefined;
  keyPairs: { name: string; publicKey: string }[];
  /** base64 */
  userData: string | null;
  hardware: MachineHardware;
  /** What the host must be able to give. */
  features: HostFeature[];
  attributes: LaunchAttributes;
  warm: NonNullable<LaunchInstance['warm']>;
};

const bytesPerGib = 1024 ** 3;
const defaultNetwork = 'default';

/**
 * @throws NotFound image, type, network or key pair, with the field
 * @throws Conflict the image or the network cannot be used now
 * @throws InvalidArgument | UserDataTooLarge
 */
export async function planLaunch(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  body: LaunchInstance,
  now: Date,
): Promise<LaunchPlan> {
  const attributes = launchAttributesOf(body, now);
  const userData = readUserData(body.userData);
  const hardware = planHardware(body);
  const { image, iso } = await resolveImages(tx, access, body);
  const type = await resolveInstanceType(tx, body.type);
  for (const source of [image, iso]) if (source) refuseTooSmall(type, source);
  refuseRoomInPages(type.memoryMib, body.maxMemoryMib, type.hugePageKib ?? null);
  const cpu = planCpu(type, body);
  const disk = { diskBytes: diskBytes(body.diskGib, type.diskGib, image), image, clone: body.clone ?? 'linked' };
  const driver = await planDriver(tx, mergedDriver(type.diskDriver, body.rootDiskDriver), hardware);
  const place = await rootPools(tx, body.pool ?? type.pool, disk);
  return {
    name: body.name,
    image,
    iso,
    network: await resolveNetwork(tx, access, body.network ?? defaultNetwork),
    type: type.name,
    vcpus: type.vcpus,
    memoryMib: type.memoryMib,
    hugePageKib: type.hugePageKib ?? null,
    cpu,
    ...roomToGrow(type, body),
    diskBytes: disk.diskBytes,
    rootClone: disk.clone,
    rootDiskLimits: readDiskLimits(body.rootDiskLimits, '/rootDiskLimits'),
    rootDiskDriver: driver.rootDiskDriver,
    pools: place.pools,
    hostIds: both(driver.hostIds, place.hostIds),
    keyPairs: await resolveKeyPairs(tx, access, body.keyPairs ?? []),
    userData,
    hardware,
    features: neededFeatures({
      ...hardware,
      memoryBacking: { hugePageKib: type.hugePageKib ?? null, mergeable: false },
      cpu: { shares: cpu.cpu_shares, capPercent: cpu.cpu_cap_percent },
    }),
    attributes,
    warm: body.warm ?? 'auto',
  };
}

/** Undefined is every host. */
const both = (some: HostId[] | undefined, others: HostId[] | undefined): HostId[] | undefined =>
  some === undefined || others === undefined ? (some ?? others) : some.filter((id) => others.includes(id));

/** @throws InvalidArgument | HostIncapable | VolatileWriteCache no host takes it */
async function planDriver(tx: Tx, driver: DiskDriver | null, { hardware }: MachineHardware) {
  if (driver === null) return { rootDiskDriver: null, hostIds: undefined };
  const disk = { label: 'root disk', driver, hardware, scratch: false, field: '/rootDiskDriver' };
  return { rootDiskDriver: driver, hostIds: await hostsTaking(tx, disk) };
}

/** @throws InvalidArgument it starts from nothing, or from two things | NotFound | Conflict */
async function resolveImages(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  { image, iso, bootOrder }: LaunchInstance,
): Promise<{ image: ImageRow | null; iso: ImageRow | null }> {
  if (image !== undefined && iso !== undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The launch names both an image to clone and an ISO to install from.',
      action: 'Leave one of them out; a disc can also be inserted later: virga cdrom insert.',
      field: '/iso',
    });
  }
  if (image === undefined && iso === undefined && !bootOrder?.includes('network')) {
    throw new VirgaError('InvalidArgument', {
      detail:
        'The launch names nothing to start from: no image to clone, no ISO to install from, no network to boot from.',
      action: 'Name an image or an ISO: virga images list.',
      field: '/image',
    });
  }
  return {
    image: image === undefined ? null : await resolveImage(tx, access, image),
    iso: iso === undefined ? null : await resolveImage(tx, access, iso, { kind: 'iso', field: '/iso' }),
  };
}

/** @throws InvalidArgument */
function planHardware({ hardware, firmware, tpm, watchdog, bootOrder, iso, cdrom }: LaunchInstance): MachineHardware {
  const planned: MachineHardware = {
    hardware: hardware ?? 'virtio',
    firmware: firmware ?? 'bios',
    tpm: tpm ?? false,
    watchdog: watchdog ?? null,
    // An empty disk does not boot, so the installer starts; once the system is on it, the disk comes first.
    bootOrder: bootOrder ?? (iso === undefined ? ['disk'] : ['disk', 'cdrom']),
    cdromDrive: cdrom === true || iso !== undefined,
  };
  refuseImpossible(planned);
  return planned;
}

function refuseTooSmall(type: { name: string; memoryMib: number }, image: ImageRow): void {
  if (type.memoryMib >= image.minimum_memory_mib) return;
  throw new VirgaError('InvalidArgument', {
    detail: `Image ${image.name} needs ${image.minimum_memory_mib} MiB of memory; type ${type.name} has ${type.memoryMib} MiB.`,
    action: 'Choose a larger type: virga types list.',
    field: '/type',
  });
}

/** A size that was asked for must hold the image; the size of the type gives way to a larger image. */
function diskBytes(asked: number | undefined, ofType: number, image: ImageRow | null): number {
  const imageBytes = image?.virtual_size_bytes ?? 0;
  if (asked === undefined) return Math.max(ofType * bytesPerGib, imageBytes);
  if (asked * bytesPerGib >= imageBytes) return asked * bytesPerGib;
  const neededGib = Math.ceil(imageBytes / bytesPerGib);
  throw new VirgaError('InvalidArgument', {
    detail: `A disk of ${asked} GiB is too small for image ${image?.name}, which has ${imageBytes} bytes.`,
    action: `Ask for at least ${neededGib} GiB.`,
    field: '/diskGib',
  });
}

function readUserData(text: string | undefined): string | null {
  if (text === undefined || text === '') return null;
  // Buffer skips what is not base64 without a word, so the text is looked at first.
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The user data is not base64.',
      action: 'Encode it in base64; virga launch --user-data does that with a file.',
      field: '/userData',
    });
  }
  const decoded = Buffer.from(text, 'base64');
  if (decoded.length > maxUserDataBytes) {
    throw new VirgaError('UserDataTooLarge', {
      detail: `The user data has ${decoded.length} bytes; at most ${maxUserDataBytes} are possible.`,
      action: 'Make it smaller, for instance by having it fetch the rest.',
      field: '/userData',
    });
  }
  return decoded.toString('base64');
}

// What another size means for an instance: whether it can have it as it is now, or has to be started anew. Pure, and decided
// before anything changes.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceType } from '@virga/contract/rest/hosts';
import { refuseBrokenPages, refuseRoomInPages } from '../hosts/huge-page-memory.ts';
import type { InstanceRow } from './instance-store.ts';

export type PresentSize = Pick<
  InstanceRow,
  'name' | 'type' | 'vcpus' | 'memory_mib' | 'max_vcpus' | 'max_memory_mib' | 'disk_bytes' | 'huge_page_kib'
>;

export type AskedSize = {
  type?: InstanceType | undefined;
  vcpus?: number | undefined;
  memoryMib?: number | undefined;
  maxVcpus?: number | undefined;
  maxMemoryMib?: number | undefined;
  diskGib?: number | undefined;
};

export type ResizeCircumstances = {
  /** On: the guest runs, or stands still with its memory on the host. Off: it is started anew before it runs again. */
  power: 'on' | 'off';
  /** What cannot be done while it is on is done by a restart. */
  mayRestart: boolean;
  acceleration: 'kvm' | 'tcg';
  /** Memory comes and goes by virtio devices, which not every machine has. */
  hasVirtio: boolean;
  /** What the image needs at least. */
  leastMemoryMib: number;
};

/** The columns that differ afterwards. */
export type SizeChange = Partial<Omit<PresentSize, 'name'>>;
export type ResizePlan = { change: SizeChange; needsRestart: boolean };

type Reason = { because: string; field: string };
type Size = Required<SizeChange>;

const bytesPerGib = 1024 ** 3;
/** Memory is plugged in by pieces of this size. */
const memoryStepMib = 2;

/**
 * @throws InvalidArgument it makes no sense at all, or nothing was asked for
 * @throws Conflict the guest cannot take it while it runs, and may not be restarted
 */
export function planResize(present: PresentSize, asked: AskedSize, now: ResizeCircumstances): ResizePlan {
  if (Object.values(asked).every((value) => value === undefined)) throw nothingAsked();
  const wanted: Size = {
    type: asked.type?.name ?? present.type,
    vcpus: asked.vcpus ?? asked.type?.vcpus ?? present.vcpus,
    memory_mib: asked.memoryMib ?? asked.type?.memoryMib ?? present.memory_mib,
    disk_bytes: asked.diskGib === undefined ? present.disk_bytes : asked.diskGib * bytesPerGib,
    max_vcpus: asked.maxVcpus ?? present.max_vcpus,
    max_memory_mib: asked.maxMemoryMib ?? present.max_memory_mib,
    huge_page_kib: asked.type === undefined ? present.huge_page_kib : (asked.type.hugePageKib ?? null),
  };
  refuseImpossible(present, asked, wanted, now);
  const reason = now.power === 'on' ? whyNotLive(present, wanted, now) : undefined;
  if (reason && !now.mayRestart) throw needsRestart(present, reason);
  const isLive = now.power === 'on' && !reason;
  const change = difference(present, {
    ...wanted,
    max_vcpus: maximum(wanted.vcpus, wanted.max_vcpus, isLive ? present.vcpus : undefined),
    max_memory_mib: maximum(wanted.memory_mib, wanted.max_memory_mib, isLive ? present.memory_mib : undefined),
  });
  return { change, needsRestart: reason !== undefined };
}

/**
 * The maximum that goes with a size; null is the size itself. A larger size than it raises it. What a guest that stays on was
 * started with is still what it can have.
 */
function maximum(size: number, asked: number | null, startedWith = size): number | null {
  const highest = Math.max(size, asked ?? startedWith);
  return highest === size ? null : highest;
}

function refuseImpossible(present: PresentSize, asked: AskedSize, wanted: Size, now: ResizeCircumstances): void {
  if (wanted.disk_bytes < present.disk_bytes) {
    const gib = Math.ceil(present.disk_bytes / bytesPerGib);
    throw invalid(
      `The disk of ${present.name} has ${present.disk_bytes} bytes; a disk never shrinks, because that would cut off data.`,
      `Ask for at least ${gib} GiB.`,
      '/diskGib',
    );
  }
  refuseLowMaximum(asked, { vcpus: wanted.vcpus, memoryMib: wanted.memory_mib });
  const field = asked.memoryMib === undefined ? '/type' : '/memoryMib';
  if (wanted.memory_mib < now.leastMemoryMib && wanted.memory_mib < present.memory_mib) {
    const detail = `The image of ${present.name} needs ${now.leastMemoryMib} MiB of memory; ${wanted.memory_mib} MiB are too little.`;
    throw invalid(detail, `Ask for at least ${now.leastMemoryMib} MiB.`, field);
  }
  refuseOdd(asked.memoryMib, '/memoryMib');
  refuseBrokenPages(wanted.memory_mib, wanted.huge_page_kib);
  refuseRoomInPages(wanted.memory_mib, asked.maxMemoryMib, wanted.huge_page_kib);
}

/** How far a new instance can grow while it runs; null is not at all. @throws InvalidArgument */
export function roomToGrow(
  size: Pick<InstanceType, 'vcpus' | 'memoryMib'>,
  asked: Pick<AskedSize, 'maxVcpus' | 'maxMemoryMib'>,
): { maxVcpus: number | null; maxMemoryMib: number | null } {
  refuseLowMaximum(asked, size);
  return {
    maxVcpus: maximum(size.vcpus, asked.maxVcpus ?? null),
    maxMemoryMib: maximum(size.memoryMib, asked.maxMemoryMib ?? null),
  };
}

function refuseLowMaximum(
  { maxVcpus, maxMemoryMib }: Pick<AskedSize, 'maxVcpus' | 'maxMemoryMib'>,
  { vcpus, memoryMib }: Pick<InstanceType, 'vcpus' | 'memoryMib'>,
): void {
  if (maxVcpus !== undefined && maxVcpus < vcpus) {
    throw invalid(`A maximum of ${maxVcpus} vCPU is less than the ${vcpus} that it has.`, 'Ask for more.', '/maxVcpus');
  }
  if (maxMemoryMib !== undefined && maxMemoryMib < memoryMib) {
    const detail = `A maximum of ${maxMemoryMib} MiB is less than the ${memoryMib} MiB that it has.`;
    throw invalid(detail, 'Ask for more.', '/maxMemoryMib');
  }
  refuseOdd(maxMemoryMib, '/maxMemoryMib');
}

function refuseOdd(mib: number | undefined, field: string): void {
  if (mib === undefined || mib % memoryStepMib === 0) return;
  throw invalid(`${mib} MiB is not a multiple of ${memoryStepMib} MiB.`, `Ask for ${mib + 1} MiB.`, field);
}

const invalid = (detail: string, action: string, field: string) =>
  new VirgaError('InvalidArgument', { detail, action, field });

/** What keeps a guest that is on from having that size; undefined when it can have it now. */
function whyNotLive(
  present: PresentSize,
  wanted: Size,
  { acceleration, hasVirtio }: ResizeCircumstances,
): Reason | undefined {
  const maxVcpus = present.max_vcpus ?? present.vcpus;
  const maxMemoryMib = present.max_memory_mib ?? present.memory_mib;
  if (wanted.vcpus > maxVcpus) {
    return { because: `it was started with room for ${maxVcpus} vCPU at most`, field: '/vcpus' };
  }
  if (wanted.vcpus < present.vcpus && acceleration === 'tcg') {
    return { because: 'an emulated guest cannot lose vCPUs', field: '/vcpus' };
  }
  if (wanted.vcpus < present.vcpus && maxVcpus === present.vcpus) {
    return { because: 'it has all vCPUs that it can have, and those cannot be taken away', field: '/vcpus' };
  }
  if (wanted.memory_mib !== present.memory_mib && present.huge_page_kib !== null) {
    return { because: 'its memory is of huge pages, which are all there when it starts', field: '/memoryMib' };
  }
  if (wanted.memory_mib !== present.memory_mib && !hasVirtio) {
    return { because: 'its emulated hardware can neither take memory nor give it back', field: '/memoryMib' };
  }
  if (wanted.memory_mib > maxMemoryMib) {
    return { because: `it was started with room for ${maxMemoryMib} MiB at most`, field: '/memoryMib' };
  }
  if (wanted.max_vcpus !== present.max_vcpus && wanted.max_vcpus !== maxVcpus) {
    return { because: 'how many vCPUs it can have is decided when it starts', field: '/maxVcpus' };
  }
  if (wanted.max_memory_mib !== present.max_memory_mib && wanted.max_memory_mib !== maxMemoryMib) {
    return { because: 'how much memory it can have is decided when it starts', field: '/maxMemoryMib' };
  }
  return undefined;
}

function difference(present: PresentSize, wanted: Size): SizeChange {
  const entries = Object.entries(wanted) as [keyof Size, Size[keyof Size]][];
  return Object.fromEntries(entries.filter(([column, value]) => value !== present[column]));
}

const needsRestart = ({ name }: PresentSize, { because, field }: Reason) =>
  new VirgaError('Conflict', {
    detail: `Instance ${name} cannot have that size while it runs: ${because}.`,
    action: 'Add --restart (restart in the API) to shut it down and start it with the new size, or stop it first.',
    field,
  });

const nothingAsked = () =>
  new VirgaError('InvalidArgument', {
    detail: 'The request says nothing of a size.',
    action: 'Name a type, vCPUs, memory, a maximum, or a disk size.',
  });

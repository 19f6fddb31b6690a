// Whether an instance has the size that it needs: pure. What is said rests on what was seen: 95 % of the time it used no more
// than this. Nothing is recommended of one that was not seen for long enough, and no type without head-room.

import type { CpuPolicy } from '@virga/contract/agent/desired';
import type { UsageVerdict } from '@virga/contract/rest/host-usage';
import type { InstanceType } from '@virga/contract/rest/hosts';

/** What was seen of an instance within the window, while it was on. */
export type SeenUsage = {
  seconds: number;
  /** Threads of the host that it kept busy: on average, at most 95 % of the time (five minutes each), for a minute at most. */
  cpusAverage: number;
  cpusP95: number;
  cpusPeak: number;
  /** vCPUs that were ready to run and did not, on average; null: not known. */
  cpusWaiting: number | null;
  /** Used by the guest, at most 95 % of the time; null: it does not tell. */
  memoryUsedP95Mib: number | null;
  /** Given to it by the host; null: not known. */
  residentP95Mib: number | null;
  diskBytesPerSecond: number | null;
  networkBytesPerSecond: number | null;
};

export type SizedInstance = {
  type: string;
  vcpus: number;
  memoryMib: number;
  /** What its image needs at least. */
  leastMemoryMib: number;
  cpuPolicy: CpuPolicy;
  hugePageKib: number | null;
  seen: SeenUsage | null;
};

export type Judgement = {
  verdict: UsageVerdict;
  reason: string;
  recommendedType: string | null;
  frees: { vcpus: number; memoryMib: number };
};

const idle = { cpuShare: 0.03, diskBytesPerSecond: 16 * 1024, networkBytesPerSecond: 2 * 1024 };
const oversized = { cpuShare: 0.2, memoryShare: 0.4 };
const undersized = { cpuShare: 0.9, memoryShare: 0.9, waitingShare: 0.2 };
/** Of what a recommended type has, what is used at most 95 % of the time. */
const headRoom = { cpuShare: 0.6, memoryShare: 0.7 };

const nothing = { vcpus: 0, memoryMib: 0 };

/** @param types in the order in which they are preferred when both would do: smallest first */
export function judge(instance: SizedInstance, types: readonly InstanceType[], minimumSeconds: number): Judgement {
  const { seen } = instance;
  if (seen === null || seen.seconds < minimumSeconds) return notSeenEnough(seen?.seconds ?? 0, minimumSeconds);
  const alike = types.filter((type) => isAlike(instance, type));
  return judgeIdle(instance, seen) ?? judgeTooSmall(instance, seen, alike) ?? judgeTooLarge(instance, seen, alike);
}

const isAlike = ({ cpuPolicy, hugePageKib }: SizedInstance, type: InstanceType): boolean =>
  (type.cpuPolicy ?? 'shared') === cpuPolicy && (type.hugePageKib ?? null) === hugePageKib;

/** Threads that an instance of a type can keep busy. */
const cpusOf = ({ vcpus, cpuCapPercent }: InstanceType): number => (vcpus * (cpuCapPercent ?? 100)) / 100;

const notSeenEnough = (seconds: number, minimumSeconds: number): Judgement => ({
  verdict: 'unknown',
  reason: `Not enough seen yet: ${hours(seconds)} of the ${hours(minimumSeconds)} that are needed.`,
  recommendedType: null,
  frees: nothing,
});

/** What is not known is not little. */
function judgeIdle({ vcpus, memoryMib }: SizedInstance, seen: SeenUsage): Judgement | undefined {
  const { cpusP95, diskBytesPerSecond, networkBytesPerSecond } = seen;
  if (cpusP95 / vcpus >= idle.cpuShare) return undefined;
  if (diskBytesPerSecond === null || diskBytesPerSecond >= idle.diskBytesPerSecond) return undefined;
  if (networkBytesPerSecond === null || networkBytesPerSecond >= idle.networkBytesPerSecond) return undefined;
  return {
    verdict: 'idle',
    reason: `In the ${hours(seen.seconds)} that it was seen it used next to nothing: ${percent(cpusP95 / vcpus)} of its processor at most, ${kib(diskBytesPerSecond)} of disk and ${kib(networkBytesPerSecond)} of network a second.`,
    recommendedType: null,
    frees: { vcpus, memoryMib },
  };
}

function judgeTooSmall(
  { vcpus, memoryMib, leastMemoryMib }: SizedInstance,
  seen: SeenUsage,
  types: readonly InstanceType[],
): Judgement | undefined {
  const lacksCpu = seen.cpusP95 / vcpus >= undersized.cpuShare;
  // What the host has given to a guest says nothing here: it may all be cache.
  const lacksMemory = seen.memoryUsedP95Mib !== null && seen.memoryUsedP95Mib / memoryMib >= undersized.memoryShare;
  const waiting = (seen.cpusWaiting ?? 0) / vcpus;
  if (!lacksCpu && !lacksMemory) {
    if (waiting < undersized.waitingShare) return undefined;
    return {
      verdict: 'undersized',
      reason: `Its vCPUs wait for a processor ${percent(waiting)} of the time: its host is too busy, or a cap holds it.`,
      recommendedType: null,
      frees: nothing,
    };
  }
  const parts = [
    lacksCpu && `${number(seen.cpusP95)} of ${vcpus} vCPUs`,
    lacksMemory && `${Math.round(seen.memoryUsedP95Mib!)} of ${memoryMib} MiB`,
  ].filter(Boolean);
  const larger = types.find(
    (type) =>
      type.vcpus >= vcpus &&
      type.memoryMib >= Math.max(memoryMib, leastMemoryMib) &&
      (!lacksCpu || (type.vcpus > vcpus && seen.cpusP95 <= cpusOf(type) * headRoom.cpuShare)) &&
      (!lacksMemory || seen.memoryUsedP95Mib! <= type.memoryMib * headRoom.memoryShare),
  );
  return {
    verdict: 'undersized',
    reason: `It uses ${parts.join(' and ')}, nearly all that it has${larger ? '' : '; no type is large enough'}.`,
    recommendedType: larger?.name ?? null,
    frees: larger ? { vcpus: vcpus - larger.vcpus, memoryMib: memoryMib - larger.memoryMib } : nothing,
  };
}

function judgeTooLarge(instance: SizedInstance, seen: SeenUsage, types: readonly InstanceType[]): Judgement {
  const { vcpus, memoryMib, leastMemoryMib } = instance;
  const used = memoryOf(seen);
  const most = `at most ${number(seen.cpusP95)} of ${vcpus} vCPUs and ${used === null ? 'an unknown part' : Math.round(used.mib)} of ${memoryMib} MiB`;
  const fits: Judgement = {
    verdict: 'fitting',
    reason: `95 % of the time it uses ${most}.`,
    recommendedType: null,
    frees: nothing,
  };
  if (seen.cpusP95 / vcpus >= oversized.cpuShare) return fits;
  if (used === null || used.mib / memoryMib >= oversized.memoryShare) return fits;
  const smaller = types.find(
    (type) =>
      type.vcpus <= vcpus &&
      type.memoryMib <= memoryMib &&
      (type.vcpus < vcpus || type.memoryMib < memoryMib) &&
      type.memoryMib >= leastMemoryMib &&
      used.mib <= type.memoryMib * headRoom.memoryShare &&
      seen.cpusP95 <= cpusOf(type) * headRoom.cpuShare &&
      // A minute in which it computes a lot must not take longer.
      seen.cpusPeak <= cpusOf(type),
  );
  if (!smaller) return { ...fits, reason: `95 % of the time it uses ${most}; no smaller type has room for that.` };
  return {
    verdict: 'oversized',
    reason: `95 % of the time it uses ${most}.`,
    recommendedType: smaller.name,
    frees: { vcpus: vcpus - smaller.vcpus, memoryMib: memoryMib - smaller.memoryMib },
  };
}

/** A guest uses no more than what the host has given to it. */
export function memoryOf({
  memoryUsedP95Mib,
  residentP95Mib,
}: SeenUsage): { mib: number; source: 'guest' | 'host' } | null {
  if (memoryUsedP95Mib !== null) return { mib: memoryUsedP95Mib, source: 'guest' };
  return residentP95Mib === null ? null : { mib: residentP95Mib, source: 'host' };
}

const hours = (seconds: number) => `${number(seconds / 3600)} h`;
const percent = (share: number) => `${number(share * 100)} %`;
const number = (value: number) => String(Number(value.toFixed(value < 10 ? 1 : 0)));
const kib = (bytes: number) => `${number(bytes / 1024)} KiB`;

// What was used between two readings of the counters of a host: pure. Time is that of the host's own clock, which nobody sets.
// Where a counter began anew in between, what it shows since is what was used; where one went back without that, nothing is said.
import type { CpuUsage, DomainUsage, HostUsage } from '@virga/contract/agent/host-usage';

/** Bytes and requests are per second. */
export type HostRates = {
  seconds: number;
  threads: number;
  cpusBusy: number;
  /** Share, of the one that was busy most. */
  busiestCpu: number;
  cpusStolen: number;
  load: number;
  memoryMib: number;
  memoryUsedMib: number;
  swapUsedMib: number;
  readBytes: number | null;
  writtenBytes: number | null;
  diskRequests: number | null;
  /** Share of time. */
  diskBusy: number | null;
  receivedBytes: number;
  sentBytes: number;
  /** Shares of time that something waited. */
  cpuPressure: number | null;
  memoryPressure: number | null;
  ioPressure: number | null;
};

export type DomainRates = {
  uuid: string;
  vcpus: number;
  cpus: number;
  cpusWaiting: number | null;
  memoryMib: number;
  memoryUsedMib: number | null;
  residentMib: number | null;
  readBytes: number | null;
  writtenBytes: number | null;
  diskRequests: number | null;
  receivedBytes: number | null;
  sentBytes: number | null;
};

export type UsageRates = { host: HostRates; domains: DomainRates[] };

const kibPerMib = 1024;

/**
 * Undefined when nothing can be said: nothing was read before, the host was started since, or so long ago that an average
 * would hide what happened.
 */
export function ratesBetween(
  before: HostUsage | undefined,
  now: HostUsage,
  longestGapMs: number,
): UsageRates | undefined {
  if (before === undefined || before.bootId !== now.bootId) return undefined;
  const elapsedMs = now.uptimeMs - before.uptimeMs;
  if (elapsedMs <= 0 || elapsedMs > longestGapMs) return undefined;
  const domainsBefore = new Map(before.domains.map((domain) => [domain.uuid, domain]));
  return {
    host: hostRates(before, now, elapsedMs),
    domains: now.domains.flatMap((domain) => domainRates(domainsBefore.get(domain.uuid), domain, elapsedMs) ?? []),
  };
}

function hostRates(before: HostUsage, now: HostUsage, elapsedMs: number): HostRates {
  const cpusBefore = new Map(before.cpus.map((cpu) => [cpu.id, cpu]));
  const shares = now.cpus.map((cpu) => cpuShares(cpusBefore.get(cpu.id), cpu));
  const perSecond = (delta: number | null) => (delta === null ? null : (delta * 1000) / elapsedMs);
  const ofTime = (later: number | undefined, earlier: number | undefined) => {
    const waited = grown(earlier ?? null, later ?? null);
    return waited === null ? null : Math.min(1, waited / elapsedMs);
  };
  const sameDevice = before.storage?.device === now.storage?.device;
  const [disk, diskBefore] = [now.storage, sameDevice ? before.storage : null];
  const { totalKib, availableKib, swapTotalKib, swapFreeKib } = now.memory;
  return {
    seconds: elapsedMs / 1000,
    threads: now.cpus.length,
    cpusBusy: shares.reduce((sum, { busy }) => sum + busy, 0),
    busiestCpu: Math.max(0, ...shares.map(({ busy }) => busy)),
    cpusStolen: shares.reduce((sum, { stolen }) => sum + stolen, 0),
    load: now.load[0],
    memoryMib: totalKib / kibPerMib,
    memoryUsedMib: (totalKib - availableKib) / kibPerMib,
    swapUsedMib: (swapTotalKib - swapFreeKib) / kibPerMib,
    readBytes: perSecond(grown(diskBefore?.readBytes ?? null, disk?.readBytes ?? null)),
    writtenBytes: perSecond(grown(diskBefore?.writtenBytes ?? null, disk?.writtenBytes ?? null)),
    diskRequests: perSecond(grown(requestsOf(diskBefore), requestsOf(disk))),
    diskBusy: ofTime(disk?.busyMs, diskBefore?.busyMs),
    // A card that was taken out takes its counters along.
    receivedBytes: perSecond(grown(before.network.receivedBytes, now.network.receivedBytes)) ?? 0,
    sentBytes: perSecond(grown(before.network.sentBytes, now.network.sentBytes)) ?? 0,
    cpuPressure: ofTime(now.pressure?.cpuSomeMs, before.pressure?.cpuSomeMs),
    memoryPressure: ofTime(now.pressure?.memorySomeMs, before.pressure?.memorySomeMs),
    ioPressure: ofTime(now.pressure?.ioSomeMs, before.pressure?.ioSomeMs),
  };
}

/** By the CPU's own sum, which is right also where ticks are lost. Times of idling go back a little on some kernels. */
function cpuShares(before: CpuUsage | undefined, now: CpuUsage): { busy: number; stolen: number } {
  if (before === undefined) return { busy: 0, stolen: 0 };
  const [busy, idle, stolen] = (['busyMs', 'idleMs', 'stolenMs'] as const).map((name) =>
    Math.max(0, now[name] - before[name]),
  ) as [number, number, number];
  const total = busy + idle + stolen;
  return total === 0 ? { busy: 0, stolen: 0 } : { busy: busy / total, stolen: stolen / total };
}

/** Undefined when what it used cannot be known. */
function domainRates(earlier: DomainUsage | undefined, now: DomainUsage, elapsedMs: number): DomainRates | undefined {
  const isNew = earlier?.run !== now.run;
  // One that has used more than it can have since the last reading was on before, and only not told of.
  if (isNew && now.cpuTimeMs > elapsedMs * (now.vcpus + 1)) return undefined;
  const before = isNew ? undefined : earlier;
  const since = (read: (usage: DomainUsage) => number | null): number | null =>
    grown(isNew ? 0 : read(before!), read(now));
  const perSecond = (read: (usage: DomainUsage) => number | null) => {
    const delta = since(read);
    return delta === null ? null : (delta * 1000) / elapsedMs;
  };
  const cpuTimeMs = since(({ cpuTimeMs }) => cpuTimeMs);
  if (cpuTimeMs === null) return undefined;
  const waitMs = since(({ cpuWaitMs }) => cpuWaitMs);
  return {
    uuid: now.uuid,
    vcpus: now.vcpus,
    cpus: cpuTimeMs / elapsedMs,
    cpusWaiting: waitMs === null ? null : waitMs / elapsedMs,
    memoryMib: now.memory.currentKib / kibPerMib,
    memoryUsedMib: now.memory.usedKib === null ? null : now.memory.usedKib / kibPerMib,
    residentMib: now.memory.residentKib === null ? null : now.memory.residentKib / kibPerMib,
    readBytes: perSecond(({ disks }) => disks?.readBytes ?? null),
    writtenBytes: perSecond(({ disks }) => disks?.writtenBytes ?? null),
    diskRequests: perSecond(({ disks }) => requestsOf(disks)),
    receivedBytes: perSecond(({ network }) => network.receivedBytes),
    sentBytes: perSecond(({ network }) => network.sentBytes),
  };
}

const requestsOf = (disks: DomainUsage['disks']): number | null =>
  disks === null ? null : disks.readRequests + disks.writeRequests;

/** Null when one is not known, or it went back: a disk or a card that was pulled has taken its share along. */
const grown = (before: number | null, now: number | null): number | null =>
  before === null || now === null || now < before ? null : now - before;

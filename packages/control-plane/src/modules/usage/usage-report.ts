// The report of how well hosts are used: pure, from what is promised, what was seen and the types there are.
import type { HostId, InstanceId, ProjectId } from '@virga/contract/ids';
import type { HostConsolidation, InstanceVerdict, UsageReport } from '@virga/contract/rest/host-usage';
import type { InstanceType } from '@virga/contract/rest/hosts';
import { hostsNeeded, type Item } from './packing.ts';
import { type Judgement, judge, memoryOf, type SeenUsage, type SizedInstance } from './right-sizing.ts';

export type ReportedHost = {
  id: HostId;
  name: string;
  /** Nothing can be moved to one that is not. */
  ready: boolean;
  threads: number;
  memoryMib: number;
  schedulableVcpus: number;
  schedulableMemoryMib: number;
  seen: { seconds: number; cpusAverage: number; cpusP95: number; memoryUsedMib: number } | null;
};

export type ReportedInstance = SizedInstance & {
  id: InstanceId;
  name: string;
  projectId: ProjectId;
  hostId: HostId;
  /** On average. */
  residentMib: number | null;
};

export type ReportInput = {
  from: Date;
  to: Date;
  minimumSeconds: number;
  limit: number;
  hosts: readonly ReportedHost[];
  /** Those that are on. */
  instances: readonly ReportedInstance[];
  types: readonly InstanceType[];
};

type Judged = ReportedInstance & Judgement;

export function buildReport({ from, to, minimumSeconds, limit, hosts, instances, types }: ReportInput): UsageReport {
  const judged = instances.map((instance) => ({ ...instance, ...judge(instance, types, minimumSeconds) }));
  const byHost = Map.groupBy(judged, ({ hostId }) => hostId);
  const consolidated = hosts.map((host) => consolidationOf(host, byHost.get(host.id) ?? []));
  const counts = { idle: 0, oversized: 0, undersized: 0, fitting: 0, unknown: 0 };
  for (const { verdict } of judged) counts[verdict] += 1;
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    minimumHours: minimumSeconds / 3600,
    cloud: wholeOf(consolidated),
    hosts: consolidated,
    counts,
    instances: judged
      .filter(({ verdict }) => verdict !== 'fitting')
      .toSorted((a, b) => rank(a) - rank(b) || b.frees.memoryMib - a.frees.memoryMib || b.frees.vcpus - a.frees.vcpus)
      .slice(0, limit)
      .map(verdictOf),
    frees: { idle: freedBy(judged, 'idle'), oversized: freedBy(judged, 'oversized') },
    packing: packingOf(hosts, judged, types),
  };
}

const order = ['idle', 'oversized', 'undersized', 'unknown', 'fitting'] as const;
const rank = ({ verdict }: Judged) => order.indexOf(verdict);

const sumOf = <T>(items: readonly T[], read: (item: T) => number) => items.reduce((sum, item) => sum + read(item), 0);
const rounded = (value: number, digits = 1) => Number(value.toFixed(digits));
const percentOf = (part: number, whole: number) => (whole > 0 ? rounded((100 * part) / whole) : 0);
const ratio = (part: number, whole: number) => (whole > 0 ? rounded(part / whole, 2) : 0);

function residentOf(instances: readonly Judged[]): number | null {
  const known = instances.flatMap(({ residentMib }) => residentMib ?? []);
  return known.length > 0 ? Math.round(sumOf(known, (mib) => mib)) : null;
}

function consolidationOf(host: ReportedHost, instances: readonly Judged[]): HostConsolidation {
  const { id, name, threads, memoryMib, seen } = host;
  const vcpus = sumOf(instances, (it) => it.vcpus);
  return {
    id,
    name,
    seenHours: rounded((seen?.seconds ?? 0) / 3600),
    instances: instances.length,
    threads,
    vcpus,
    vcpusPerThread: ratio(vcpus, threads),
    cpuAveragePercent: seen && percentOf(seen.cpusAverage, threads),
    cpuP95Percent: seen && percentOf(seen.cpusP95, threads),
    memoryMib,
    memoryPromisedMib: sumOf(instances, (it) => it.memoryMib),
    memoryResidentMib: residentOf(instances),
    memoryUsedPercent: seen && percentOf(seen.memoryUsedMib, memoryMib),
  };
}

function wholeOf(hosts: readonly HostConsolidation[]): UsageReport['cloud'] {
  const [instances, threads, vcpus] = (['instances', 'threads', 'vcpus'] as const).map((field) =>
    sumOf(hosts, (host) => host[field]),
  ) as [number, number, number];
  const seen = hosts.filter(({ cpuAveragePercent }) => cpuAveragePercent !== null);
  const resident = hosts.flatMap(({ memoryResidentMib }) => memoryResidentMib ?? []);
  const memoryPromisedMib = sumOf(hosts, (host) => host.memoryPromisedMib);
  const memoryResidentMib = resident.length > 0 ? sumOf(resident, (mib) => mib) : null;
  const busy = sumOf(seen, (host) => (host.cpuAveragePercent! * host.threads) / 100);
  return {
    hosts: hosts.length,
    instances,
    instancesPerHost: ratio(instances, hosts.length),
    threads,
    vcpus,
    vcpusPerThread: ratio(vcpus, threads),
    cpuAveragePercent:
      seen.length > 0
        ? percentOf(
            busy,
            sumOf(seen, (host) => host.threads),
          )
        : null,
    memoryMib: sumOf(hosts, (host) => host.memoryMib),
    memoryPromisedMib,
    memoryResidentMib,
    memoryPromisedPerResident: memoryResidentMib ? ratio(memoryPromisedMib, memoryResidentMib) : null,
  };
}

function verdictOf(judged: Judged): InstanceVerdict {
  const { id, name, projectId, hostId, type, vcpus, memoryMib, verdict, reason, recommendedType, frees, seen } = judged;
  const memory = seen && memoryOf(seen);
  return {
    id,
    name,
    projectId,
    hostId,
    type,
    vcpus,
    memoryMib,
    verdict,
    reason,
    seenHours: rounded((seen?.seconds ?? 0) / 3600),
    cpuAveragePercent: seen && percentOf(seen.cpusAverage, vcpus),
    cpuP95Percent: seen && percentOf(seen.cpusP95, vcpus),
    cpuPeakPercent: seen && percentOf(seen.cpusPeak, vcpus),
    memoryP95Mib: memory && Math.round(memory.mib),
    memorySource: memory?.source ?? null,
    recommendedType,
    frees,
  };
}

function freedBy(judged: readonly Judged[], verdict: Judged['verdict']) {
  const those = judged.filter((it) => it.verdict === verdict);
  return { vcpus: sumOf(those, ({ frees }) => frees.vcpus), memoryMib: sumOf(those, ({ frees }) => frees.memoryMib) };
}

/** One that was not seen for long enough may need all that it has, and one with CPUs of its own has them. */
function packingOf(
  hosts: readonly ReportedHost[],
  judged: readonly Judged[],
  types: readonly InstanceType[],
): UsageReport['packing'] {
  const bins = hosts
    .filter(({ ready }) => ready)
    .map(({ threads, schedulableVcpus, schedulableMemoryMib }) => ({
      threads,
      vcpus: schedulableVcpus,
      memoryMib: schedulableMemoryMib,
    }));
  const hostsInUse = new Set(judged.map(({ hostId }) => hostId)).size;
  const ownsCpus = ({ cpuPolicy }: Judged) => cpuPolicy === 'dedicated' || cpuPolicy === 'isolated';
  const need = (it: Judged) => (it.verdict === 'unknown' || ownsCpus(it) ? it.vcpus : cpusOf(it.seen, it.vcpus));
  const now = judged.map((it): Item => ({ vcpus: it.vcpus, memoryMib: it.memoryMib, cpus: need(it) }));
  const sized = judged
    .filter(({ verdict }) => verdict !== 'idle')
    .map((it): Item => {
      const { vcpus, memoryMib } = types.find(({ name }) => name === it.recommendedType) ?? it;
      return { vcpus, memoryMib, cpus: Math.min(need(it), vcpus) };
    });
  // The way they lie now is one that is possible.
  const least = (items: readonly Item[]) => Math.min(hostsInUse, hostsNeeded(items, bins) ?? hostsInUse);
  const [needed, afterwards] = [least(now), least(sized)];
  return { hostsInUse, hostsNeeded: needed, hostsNeededAfterRightSizing: afterwards, reason: why(judged) };
}

const cpusOf = (seen: SeenUsage | null, vcpus: number) => Math.min(seen?.cpusP95 ?? vcpus, vcpus);

function why(judged: readonly Judged[]): string {
  const unknown = judged.filter(({ verdict }) => verdict === 'unknown').length;
  const rule = 'Memory as it is promised, processors as they are used 95 % of the time, a fifth of each host free';
  if (unknown === 0) return `${rule}.`;
  return `${rule}; ${unknown} of ${judged.length} instances, not seen for long enough, with all of their vCPUs.`;
}

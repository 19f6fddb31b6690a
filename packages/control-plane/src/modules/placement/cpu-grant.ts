// Which CPUs of a host an instance gets for itself, or in which NUMA node it is at home. Pure: a question to what is written
// down of a host. Whole cores are given, so that no sibling runs somebody else's vCPU; a host keeps at least one CPU for
// what belongs to nobody, and as many as its shared instances were promised.
import type { CpuPolicy } from '@virga/contract/agent/desired';
import type { HostCpu } from '@virga/contract/agent/host-facts';
import type { HugePageKib } from '@virga/contract/agent/host-memory';

/** Memory is that of ordinary pages; static huge pages are counted by their size in KiB. */
type Pages = Partial<Record<HugePageKib, number>>;
type Amount = { vcpus: number; memoryMib: number; hugePages?: Pages };

export type HostCpus = {
  cpus: readonly HostCpu[];
  /** With the memory that guests may have there. */
  nodes: readonly { id: number; memoryMib: number; hugePages?: Pages }[];
  reserved: ReadonlySet<number>;
  /** Dedicated, or idle beside a dedicated one. */
  held: ReadonlySet<number>;
  /** What is at home in each node: vCPUs of instances that share, and memory of all. */
  homes: ReadonlyMap<number, Amount>;
  /** The same of those that are at home nowhere. */
  homeless: Amount;
  vcpusPerCpu: number;
};

export type CpuDemand = Pick<Amount, 'vcpus' | 'memoryMib'> & {
  hugePages?: { kib: HugePageKib; count: number } | undefined;
  policy: CpuPolicy;
  /** Those that somebody has chosen, one for each vCPU. */
  hostCpus?: readonly number[] | undefined;
  /** Those that it has now, one for each vCPU: it keeps as many as it can. */
  present?: readonly number[] | undefined;
};

export type CpuGrant = {
  node: number | null;
  /** CPU of each vCPU. Empty: it shares. */
  hostCpus: number[];
  /** Siblings of those that stay idle. */
  idle: number[];
};

export const isExclusive = (policy: CpuPolicy): boolean => policy === 'dedicated' || policy === 'isolated';

/** @returns undefined when the host has no room for that */
export function grantCpus(host: HostCpus, demand: CpuDemand): CpuGrant | undefined {
  if (!isExclusive(demand.policy)) return grantHome(host, demand);
  return demand.hostCpus === undefined ? choose(host, demand) : take(host, demand, demand.hostCpus);
}

/** CPUs that instances share. What the kernel keeps isolated is no place for them: it would not move them about there. */
export const sharedCpus = ({ cpus, reserved, held }: Pick<HostCpus, 'cpus' | 'reserved' | 'held'>): HostCpu[] =>
  cpus.filter(({ id, isolated }) => !isolated && !reserved.has(id) && !held.has(id));

/** CPUs of one core. */
export function coresOf(cpus: readonly HostCpu[]): HostCpu[][] {
  const cores = new Map<string, HostCpu[]>();
  for (const cpu of cpus) {
    const key = `${cpu.node}/${cpu.socket}/${cpu.core}`;
    cores.set(key, [...(cores.get(key) ?? []), cpu]);
  }
  return [...cores.values()].map((core) => core.sort((one, other) => one.id - other.id));
}

function grantHome(host: HostCpus, demand: CpuDemand): CpuGrant | undefined {
  const shared = sharedCpus(host);
  const promised = vcpusOf(host);
  if (shared.length * host.vcpusPerCpu < promised + demand.vcpus) return undefined;
  const nowhere: CpuGrant = { node: null, hostCpus: [], idle: [] };
  // On a host with one node all are at home there.
  if (demand.policy === 'shared' && host.nodes.length === 1) return nowhere;
  const fitting = host.nodes
    .map(({ id }) => {
      const here = shared.filter(({ node }) => node === id).length;
      const freeVcpus = here * host.vcpusPerCpu - (host.homes.get(id)?.vcpus ?? 0);
      return { id, here, freeVcpus, freeMib: freeMemoryMib(host, id), fits: hasMemory(host, id, demand) };
    })
    .filter(({ here, freeVcpus, fits }) => here >= demand.vcpus && freeVcpus >= demand.vcpus && fits)
    .sort((one, other) => other.freeMib - one.freeMib || one.id - other.id);
  const [node] = fitting;
  if (node) return { ...nowhere, node: node.id };
  return demand.policy === 'shared' ? nowhere : undefined;
}

/** What is at home nowhere lies in every node, as much as the node is large. */
function freeMemoryMib({ nodes, homes, homeless }: HostCpus, id: number): number {
  const total = nodes.reduce((sum, { memoryMib }) => sum + memoryMib, 0);
  const { memoryMib } = nodes.find((node) => node.id === id)!;
  return Math.floor(
    memoryMib - (homes.get(id)?.memoryMib ?? 0) - (total > 0 ? (homeless.memoryMib * memoryMib) / total : 0),
  );
}

/** Huge pages likewise: the kernel takes those of a guest that is at home nowhere from any node. */
function freePages({ nodes, homes, homeless }: HostCpus, id: number, kib: HugePageKib): number {
  const count = (of: { hugePages?: Pages } | undefined) => of?.hugePages?.[kib] ?? 0;
  const total = nodes.reduce((sum, node) => sum + count(node), 0);
  const own = count(nodes.find((node) => node.id === id));
  return Math.floor(own - count(homes.get(id)) - (total > 0 ? (count(homeless) * own) / total : 0));
}

const hasMemory = (host: HostCpus, node: number, { memoryMib, hugePages }: CpuDemand): boolean =>
  freeMemoryMib(host, node) >= memoryMib &&
  (hugePages === undefined || freePages(host, node, hugePages.kib) >= hugePages.count);

const vcpusOf = ({ homes, homeless }: HostCpus): number =>
  [...homes.values()].reduce((sum, { vcpus }) => sum + vcpus, homeless.vcpus);

/** How many shared CPUs the host can lose, in all and in each node. */
function spareCpus(host: HostCpus): { all: number; of(node: number): number } {
  const shared = sharedCpus(host);
  const needed = (vcpus: number) => Math.ceil(vcpus / host.vcpusPerCpu);
  // QEMU's own threads have to run somewhere.
  const least = host.reserved.size > 0 ? 0 : 1;
  return {
    all: shared.length - Math.max(least, needed(vcpusOf(host))),
    of: (node) => shared.filter((cpu) => cpu.node === node).length - needed(host.homes.get(node)?.vcpus ?? 0),
  };
}

/** What costs nothing can be had where nothing can be spared. */
const affords = (spare: number, cost: number): boolean => cost === 0 || cost <= spare;

/** Cores of which no thread is anybody's. */
function freeCores(host: HostCpus, policy: CpuPolicy): HostCpu[][] {
  const isolates = policy === 'isolated' && host.cpus.some(({ isolated }) => isolated);
  return coresOf(host.cpus).filter((core) =>
    core.every(({ id, isolated }) => isolated === isolates && !host.reserved.has(id) && !host.held.has(id)),
  );
}

function choose(host: HostCpus, demand: CpuDemand): CpuGrant | undefined {
  const { vcpus, present = [] } = demand;
  const cores = freeCores(host, demand.policy);
  const spare = spareCpus(host);
  const cost = (chosen: readonly HostCpu[][], node?: number) =>
    chosen.flat().filter((cpu) => !cpu.isolated && (node === undefined || cpu.node === node)).length;
  const isAffordable = (chosen: readonly HostCpu[][]) =>
    affords(spare.all, cost(chosen)) && host.nodes.every(({ id }) => affords(spare.of(id), cost(chosen, id)));
  const candidates = host.nodes
    .map(({ id }) => {
      const ofNode = cores.filter(([cpu]) => cpu!.node === id);
      const has = present.some((cpu) => ofNode.flat().some((other) => other.id === cpu));
      return { id, cores: ofNode, has, fits: hasMemory(host, id, demand) };
    })
    // Where it is; where its memory has room too; and in the fullest node, so that large instances find an empty one.
    .sort(
      (one, other) =>
        Number(other.has) - Number(one.has) ||
        Number(other.fits) - Number(one.fits) ||
        one.cores.length - other.cores.length ||
        one.id - other.id,
    );
  for (const { id, cores: ofNode, fits } of candidates) {
    const chosen = pick(ofNode, vcpus, present);
    if (chosen && isAffordable(chosen)) return granted(chosen, vcpus, present, fits ? id : null);
  }
  // Over several nodes, beginning with the emptiest, no more of each than it can lose.
  const left = new Map(host.nodes.map(({ id }) => [id, spare.of(id)]));
  const affordable = candidates
    .sort((one, other) => Number(other.has) - Number(one.has) || other.cores.length - one.cores.length)
    .flatMap((node) => preferred(node.cores, present))
    .filter((core) => {
      const { node, isolated } = core[0]!;
      if (isolated) return true;
      const rest = left.get(node)! - core.length;
      if (rest >= 0) left.set(node, rest);
      return rest >= 0;
    });
  const chosen = pick(affordable, vcpus, present);
  return chosen && isAffordable(chosen) ? granted(chosen, vcpus, present, null) : undefined;
}

/** Those it has first, then from the end: the first CPUs of a host serve most of its interrupts. */
function preferred(cores: readonly HostCpu[][], present: readonly number[]): HostCpu[][] {
  const has = (core: HostCpu[]) => core.some(({ id }) => present.includes(id));
  return [...cores].sort((one, other) => Number(has(other)) - Number(has(one)) || other[0]!.id - one[0]!.id);
}

/** Cores with that many threads, as few idle ones as possible; with all of which it has one already. */
function pick(cores: readonly HostCpu[][], vcpus: number, present: readonly number[]): HostCpu[][] | undefined {
  const kept = present.slice(0, vcpus);
  const chosen = cores.filter((core) => core.some(({ id }) => kept.includes(id)));
  let missing = vcpus - chosen.flat().length;
  const others = preferred(cores, []).filter((core) => !chosen.includes(core));
  for (const core of others) {
    if (missing <= 0) break;
    if (core.length > missing) continue;
    chosen.push(core);
    missing -= core.length;
  }
  if (missing <= 0) return chosen;
  const rest = others.filter((core) => !chosen.includes(core));
  const smallest = rest.sort((one, other) => one.length - other.length)[0];
  return smallest && [...chosen, smallest];
}

function granted(
  cores: readonly HostCpu[][],
  vcpus: number,
  present: readonly number[],
  node: number | null,
): CpuGrant {
  const all = cores.flat().map(({ id }) => id);
  const kept = present.filter((cpu) => all.includes(cpu)).slice(0, vcpus);
  const ascending = [...cores]
    .sort((one, other) => one[0]!.id - other[0]!.id)
    .flat()
    .map(({ id }) => id)
    .filter((cpu) => !kept.includes(cpu));
  const hostCpus = [...kept, ...ascending].slice(0, vcpus);
  return { node, hostCpus, idle: all.filter((cpu) => !hostCpus.includes(cpu)) };
}

/** Those that somebody has chosen, if they can be had. */
function take(host: HostCpus, demand: CpuDemand, wanted: readonly number[]): CpuGrant | undefined {
  const cores = coresOf(host.cpus).filter((core) => core.some(({ id }) => wanted.includes(id)));
  const all = cores.flat();
  const isFree = all.every(({ id }) => !host.reserved.has(id) && !host.held.has(id));
  if (!isFree || wanted.some((cpu) => !all.some(({ id }) => id === cpu))) return undefined;
  const spare = spareCpus(host);
  const lost = all.filter(({ isolated }) => !isolated);
  const nodes = [...new Set(all.map(({ node }) => node))];
  const lostOf = (id: number) => lost.filter(({ node }) => node === id).length;
  if (!affords(spare.all, lost.length) || !nodes.every((id) => affords(spare.of(id), lostOf(id)))) return undefined;
  const [node] = nodes;
  const isHome = nodes.length === 1 && hasMemory(host, node!, demand);
  const idle = all.map(({ id }) => id).filter((cpu) => !wanted.includes(cpu));
  return { node: isHome ? node! : null, hostCpus: [...wanted], idle };
}

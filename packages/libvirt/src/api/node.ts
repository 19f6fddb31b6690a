// The host that libvirt runs on, and the hypervisor's abilities. Owns no state; fails with LibvirtError (`NO_SUPPORT` for
// what a driver cannot tell).
import type { CallOptions } from '../connection/call-table.ts';
import type { Session } from '../connection/session.ts';
import * as calls from '../protocol/node-calls.ts';
import { connectGetUri } from '../protocol/session-calls.ts';
import { cpusOfMap } from './cpu-map.ts';
import { type Flags, flagBits } from './flags.ts';

const baselineFlags = { expandFeatures: 1, migratable: 2 } as const;
const comparisons = ['incompatible', 'identical', 'superset'] as const;
const allCpus = -1;
const allCells = -1;

export interface Version {
  major: number;
  minor: number;
  release: number;
}

/** Whose abilities are asked for; what is left out, libvirt chooses for this host. */
export interface HypervisorChoice {
  emulator?: string;
  arch?: string;
  machine?: string;
  virtType?: string;
}

export interface HostCpuMap {
  /** How many processors the host has, offline ones included. */
  present: number;
  /** Numbers of those that are online. */
  online: number[];
}

export type Node = ReturnType<typeof node>;

const versionOf = (number: number): Version => ({
  major: Math.floor(number / 1_000_000),
  minor: Math.floor(number / 1000) % 1000,
  release: number % 1000,
});

const choiceArgs = ({ emulator, arch, machine, virtType }: HypervisorChoice) => ({
  emulator: emulator ?? null,
  arch: arch ?? null,
  machine: machine ?? null,
  virtType: virtType ?? null,
});

export function node(session: Session) {
  return {
    /** Processor model, memory in KiB, topology. With uneven topologies the counts are libvirt's approximation. */
    info: (options?: CallOptions) => session.call(calls.nodeGetInfo, undefined, options),

    async cpuMap(options?: CallOptions): Promise<HostCpuMap> {
      const args = { needMap: true, needOnline: true, flags: 0 };
      const { map, present } = await session.call(calls.nodeGetCpuMap, args, options);
      return { present, online: cpusOfMap(map) };
    },

    /** Nanoseconds spent as `user`, `kernel`, `idle`, `iowait` since boot, of one processor or of all together. */
    async cpuStats(options?: { cpu?: number } & CallOptions): Promise<Record<string, bigint>> {
      const ask = (maxCounters: number) =>
        session.call(calls.nodeGetCpuStats, { cpu: options?.cpu ?? allCpus, maxCounters, flags: 0 }, options);
      // libvirt wants to be asked for exactly as many counters as there are, and tells when asked for none.
      return counters((await ask((await ask(0)).count)).counters);
    },

    /** `total`, `free`, `buffers`, `cached` in KiB, of one NUMA cell or of the whole host. */
    async memoryStats(options?: { cell?: number } & CallOptions): Promise<Record<string, bigint>> {
      const ask = (maxCounters: number) =>
        session.call(calls.nodeGetMemoryStats, { maxCounters, cell: options?.cell ?? allCells, flags: 0 }, options);
      return counters((await ask((await ask(0)).count)).counters);
    },

    /** Free memory of the host in bytes. */
    async freeMemoryBytes(options?: CallOptions): Promise<number> {
      return (await session.call(calls.nodeGetFreeMemory, undefined, options)).freeBytes;
    },

    /** Free memory of each NUMA cell in bytes, by cell number. */
    async freeMemoryBytesByCell(options?: { startCell?: number } & CallOptions): Promise<readonly number[]> {
      const args = { startCell: options?.startCell ?? 0, maxCells: 1024 };
      return (await session.call(calls.nodeGetCellsFreeMemory, args, options)).cells;
    },

    /** Free huge pages of each size, cell by cell: `counts[cell][size]`. */
    async freePages(
      pageSizesKib: readonly number[],
      options?: { startCell?: number; cellCount?: number } & CallOptions,
    ): Promise<number[][]> {
      const args = { pageSizesKib, startCell: options?.startCell ?? 0, cellCount: options?.cellCount ?? 1, flags: 0 };
      const { counts } = await session.call(calls.nodeGetFreePages, args, options);
      const cells: number[][] = [];
      for (let at = 0; at < counts.length; at += pageSizesKib.length)
        cells.push(counts.slice(at, at + pageSizesKib.length));
      return cells;
    },

    /** Reserves huge pages: `add` grows the pool by `pageCount`, otherwise it is set to it. One cell. */
    async allocatePages(
      { pageSizeKib, pageCount, cell, add }: { pageSizeKib: number; pageCount: number; cell: number; add?: boolean },
      options?: CallOptions,
    ): Promise<void> {
      const flags = add ? 0 : 1;
      const args = { pageSizesKib: [pageSizeKib], pageCounts: [pageCount], startCell: cell, cellCount: 1, flags };
      await session.call(calls.nodeAllocPages, args, options);
    },

    /** Host and guest abilities. @returns XML `<capabilities>` */
    async capabilities(options?: CallOptions): Promise<string> {
      return (await session.call(calls.connectGetCapabilities, undefined, options)).xml;
    },

    /** What a guest of one kind can be given. @returns XML `<domainCapabilities>` */
    async domainCapabilities(choice: HypervisorChoice = {}, options?: CallOptions): Promise<string> {
      const args = { ...choiceArgs(choice), flags: 0 };
      return (await session.call(calls.connectGetDomainCapabilities, args, options)).xml;
    },

    /** SMBIOS tables of the host. @returns XML `<sysinfo>` */
    async sysinfo(options?: CallOptions): Promise<string> {
      return (await session.call(calls.connectGetSysinfo, { flags: 0 }, options)).xml;
    },

    /** The driver, e.g. `QEMU`. */
    async hypervisorType(options?: CallOptions): Promise<string> {
      return (await session.call(calls.connectGetType, undefined, options)).type;
    },

    /** Version of the hypervisor (QEMU). */
    async hypervisorVersion(options?: CallOptions): Promise<Version> {
      return versionOf((await session.call(calls.connectGetVersion, undefined, options)).version);
    },

    /** Version of the libvirt daemon. */
    async version(options?: CallOptions): Promise<Version> {
      return versionOf((await session.call(calls.connectGetLibVersion, undefined, options)).version);
    },

    async hostname(options?: CallOptions): Promise<string> {
      return (await session.call(calls.connectGetHostname, undefined, options)).hostname;
    },

    /** The URI as libvirt sees it. */
    async uri(options?: CallOptions): Promise<string> {
      return (await session.call(connectGetUri, undefined, options)).uri;
    },

    /** Most virtual processors of a guest of a type, e.g. `kvm`. */
    async maxVcpus(type?: string, options?: CallOptions): Promise<number> {
      return (await session.call(calls.connectGetMaxVcpus, { type: type ?? null }, options)).maxVcpus;
    },

    /** Whether the connection cannot be read by others: a unix socket or TLS. */
    async isSecure(options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.connectIsSecure, undefined, options)).secure;
    },

    /** Named processor models of an architecture, e.g. `x86_64`. */
    async cpuModelNames(arch: string, options?: CallOptions): Promise<readonly string[]> {
      return (await session.call(calls.connectGetCpuModelNames, { arch, needResults: true, flags: 0 }, options)).models;
    },

    /** How the host's processor, as the hypervisor can offer it, relates to the one in the XML. */
    async compareCpu(
      cpuXml: string,
      choice: HypervisorChoice = {},
      options?: CallOptions,
    ): Promise<(typeof comparisons)[number]> {
      const args = { ...choiceArgs(choice), xml: cpuXml, flags: 0 };
      const { result } = await session.call(calls.connectCompareHypervisorCpu, args, options);
      return comparisons[result] ?? 'incompatible';
    },

    /** How the host's own processor relates to the one in the XML, whatever a hypervisor makes of it. */
    async compareHostCpu(cpuXml: string, options?: CallOptions): Promise<(typeof comparisons)[number]> {
      const { result } = await session.call(calls.connectCompareCpu, { xml: cpuXml, flags: 0 }, options);
      return comparisons[result] ?? 'incompatible';
    },

    /** The best processor that all the given ones have in common, whatever a hypervisor makes of it. @returns XML `<cpu>` */
    async baselineHostCpu(
      cpuXmls: readonly string[],
      options?: Flags<typeof baselineFlags> & CallOptions,
    ): Promise<string> {
      const args = { xmls: cpuXmls, flags: flagBits(baselineFlags, options) };
      return (await session.call(calls.connectBaselineCpu, args, options)).xml;
    },

    /** The best processor that all the given hosts can offer. @returns XML `<cpu>` */
    async baselineCpu(
      cpuXmls: readonly string[],
      choice: HypervisorChoice = {},
      options?: Flags<typeof baselineFlags> & CallOptions,
    ): Promise<string> {
      const args = { ...choiceArgs(choice), xmls: cpuXmls, flags: flagBits(baselineFlags, options) };
      return (await session.call(calls.connectBaselineHypervisorCpu, args, options)).xml;
    },
  };
}

function counters(list: readonly { name: string; value: bigint }[]): Record<string, bigint> {
  return Object.fromEntries(list.map(({ name, value }) => [name, value]));
}

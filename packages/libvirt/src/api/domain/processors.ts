// Virtual processors and memory of a domain: how many, how much, and on which host processors. Owns no state; fails with
// LibvirtError, and InvalidValue for processor lists that make no sense.
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as calls from '../../protocol/domain/resource-calls.ts';
import { nodeGetCpuMap } from '../../protocol/node-calls.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import { cpusOfMap, mapOfCpus } from '../cpu-map.ts';
import { type Flags, flagBits } from '../flags.ts';
import { affectFlags } from './affect.ts';

const vcpuFlags = { ...affectFlags, maximum: 4, guest: 8, hotpluggable: 16 } as const;
const memoryFlags = { ...affectFlags, maximum: 4 } as const;
const vcpuStates = ['offline', 'running', 'blocked'] as const;
const memoryTags = [
  ...['swapInKib', 'swapOutKib', 'majorFaults', 'minorFaults', 'unusedKib', 'availableKib', 'balloonKib', 'rssKib'],
  ...['usableKib', 'updatedAtSeconds', 'diskCachesKib', 'hugePageAllocations', 'hugePageFailures'],
] as const;

type Affect = Flags<typeof affectFlags> & CallOptions;

/** Memory as the host and, through the balloon, the guest see it; what libvirt does not know is missing. */
export type MemoryStats = { [K in (typeof memoryTags)[number]]?: number };

export interface VcpuInfo {
  vcpu: number;
  state: (typeof vcpuStates)[number];
  /** nanoseconds */
  cpuTimeNs: number;
  /** Host processor it runs on; undefined when libvirt does not know. */
  hostCpu: number | undefined;
  /** Host processors it may run on. */
  allowedCpus: number[];
}

export interface Iothread {
  id: number;
  allowedCpus: number[];
}

export function domainProcessors(session: Session) {
  /** Bytes that a map of all the host's processors takes. */
  async function hostMapBytes(options?: CallOptions): Promise<number> {
    const { present } = await session.call(nodeGetCpuMap, { needMap: false, needOnline: false, flags: 0 }, options);
    return (present + 7) >> 3;
  }

  async function getVcpus(domain: DomainRef, options?: Flags<typeof vcpuFlags> & CallOptions): Promise<number> {
    const args = { domain, flags: flagBits(vcpuFlags, options) };
    return (await session.call(calls.domainGetVcpusFlags, args, options)).vcpus;
  }

  return {
    getVcpus,

    /** Sets how many processors the guest has; with `maximum` how many it can have (`config` only). */
    async setVcpus(domain: DomainRef, vcpus: number, options?: Flags<typeof vcpuFlags> & CallOptions): Promise<void> {
      await session.call(calls.domainSetVcpusFlags, { domain, vcpus, flags: flagBits(vcpuFlags, options) }, options);
    },

    /** Plugs or unplugs single processors, e.g. `'3-4'`. */
    async setVcpuOnline(domain: DomainRef, vcpuList: string, online: boolean, options?: Affect): Promise<void> {
      const args = { domain, vcpuList, online, flags: flagBits(affectFlags, options) };
      await session.call(calls.domainSetVcpu, args, options);
    },

    /** What each processor of a running domain does, and where. */
    async vcpus(domain: DomainRef, options?: CallOptions): Promise<VcpuInfo[]> {
      const [mapBytes, maxInfo] = await Promise.all([
        hostMapBytes(options),
        getVcpus(domain, { live: true, ...options }),
      ]);
      const { info, cpuMaps } = await session.call(calls.domainGetVcpus, { domain, maxInfo, mapBytes }, options);
      return info.map(({ number, state, cpuTimeNs, cpu }, index) => ({
        vcpu: number,
        state: vcpuStates[state] ?? 'offline',
        cpuTimeNs,
        hostCpu: cpu < 0 ? undefined : cpu,
        allowedCpus: cpusOfMap(cpuMaps.subarray(index * mapBytes, (index + 1) * mapBytes)),
      }));
    },

    /** Lets a processor run on these host processors only. */
    async pinVcpu(domain: DomainRef, vcpu: number, hostCpus: readonly number[], options?: Affect): Promise<void> {
      const args = { domain, vcpu, cpuMap: mapOfCpus(hostCpus), flags: flagBits(affectFlags, options) };
      await session.call(calls.domainPinVcpuFlags, args, options);
    },

    /** Host processors that each processor may run on, by processor number. */
    async vcpuPins(domain: DomainRef, options?: Affect): Promise<number[][]> {
      const [mapBytes, maps] = await Promise.all([
        hostMapBytes(options),
        getVcpus(domain, { ...options, maximum: true }),
      ]);
      const args = { domain, maps, mapBytes, flags: flagBits(affectFlags, options) };
      const pins = await session.call(calls.domainGetVcpuPinInfo, args, options);
      return Array.from({ length: pins.maps }, (_, vcpu) =>
        cpusOfMap(pins.cpuMaps.subarray(vcpu * mapBytes, (vcpu + 1) * mapBytes)),
      );
    },

    /** The same for QEMU's own threads. */
    async pinEmulator(domain: DomainRef, hostCpus: readonly number[], options?: Affect): Promise<void> {
      const args = { domain, cpuMap: mapOfCpus(hostCpus), flags: flagBits(affectFlags, options) };
      await session.call(calls.domainPinEmulator, args, options);
    },

    async emulatorPin(domain: DomainRef, options?: Affect): Promise<number[]> {
      const args = { domain, mapBytes: await hostMapBytes(options), flags: flagBits(affectFlags, options) };
      return cpusOfMap((await session.call(calls.domainGetEmulatorPinInfo, args, options)).cpuMap);
    },

    async iothreads(domain: DomainRef, options?: Affect): Promise<Iothread[]> {
      const args = { domain, flags: flagBits(affectFlags, options) };
      const { info } = await session.call(calls.domainGetIothreadInfo, args, options);
      return info.map(({ id, cpuMap }) => ({ id, allowedCpus: cpusOfMap(cpuMap) }));
    },

    async pinIothread(domain: DomainRef, id: number, hostCpus: readonly number[], options?: Affect): Promise<void> {
      const args = { domain, id, cpuMap: mapOfCpus(hostCpus), flags: flagBits(affectFlags, options) };
      await session.call(calls.domainPinIothread, args, options);
    },

    async addIothread(domain: DomainRef, id: number, options?: Affect): Promise<void> {
      await session.call(calls.domainAddIothread, { domain, id, flags: flagBits(affectFlags, options) }, options);
    },

    async removeIothread(domain: DomainRef, id: number, options?: Affect): Promise<void> {
      await session.call(calls.domainDelIothread, { domain, id, flags: flagBits(affectFlags, options) }, options);
    },

    /** Sets the memory that the balloon leaves the guest; with `maximum` the most it can have (`config` only). */
    async setMemory(
      domain: DomainRef,
      memoryKib: number,
      options?: Flags<typeof memoryFlags> & CallOptions,
    ): Promise<void> {
      const args = { domain, memoryKib, flags: flagBits(memoryFlags, options) };
      await session.call(calls.domainSetMemoryFlags, args, options);
    },

    async maxMemoryKib(domain: DomainRef, options?: CallOptions): Promise<number> {
      return (await session.call(calls.domainGetMaxMemory, { domain }, options)).memoryKib;
    },

    async memoryStats(domain: DomainRef, options?: CallOptions): Promise<MemoryStats> {
      const args = { domain, maxStats: memoryTags.length, flags: 0 };
      const stats: MemoryStats = {};
      for (const { tag, value } of (await session.call(calls.domainMemoryStats, args, options)).stats) {
        const name = memoryTags[tag];
        if (name !== undefined) stats[name] = value;
      }
      return stats;
    },

    /** How often the guest's balloon driver reports; 0 stops it. */
    async setMemoryStatsPeriod(domain: DomainRef, periodSeconds: number, options?: Affect): Promise<void> {
      const args = { domain, periodSeconds, flags: flagBits(affectFlags, options) };
      await session.call(calls.domainSetMemoryStatsPeriod, args, options);
    },
  };
}

// What a simulated host says it is.
import type { HostFacts, NumaNode } from '@virga/contract/agent/host-facts';
import type { HostFeature } from '@virga/contract/agent/host-features';
import { diskFacts, type SimulatedDisk } from './simulated-disks.ts';

export type SimulatedHardware = {
  cpuThreads: number;
  memoryMib: number;
  storageBytes: number;
  /** Default 1. CPUs and memory are spread over them evenly. */
  numaNodes?: number | undefined;
  /** Default 1. */
  threadsPerCore?: number | undefined;
  /** CPUs that its kernel gives no work by itself. Default none. */
  isolatedCpus?: readonly number[] | undefined;
  /** What its processors can, in which hosts of a pool may differ. */
  cpuFeatures?: readonly string[] | undefined;
};

export function hostFacts(
  name: string,
  hardware: SimulatedHardware,
  host: SimulatedDisk & { bootId: string; features: HostFeature[]; freeBytes(): number },
  { availableMib, hugePagesOf }: { availableMib: number; hugePagesOf: (node: number) => NumaNode['hugePages'] },
): HostFacts {
  return {
    name,
    arch: 'x86_64',
    cpuModel: 'Simulated',
    cpuThreads: hardware.cpuThreads,
    memoryMib: hardware.memoryMib,
    memoryAvailableMib: availableMib,
    storagePath: `/simulated/${name}`,
    storageTotalBytes: hardware.storageBytes,
    storageFreeBytes: host.freeBytes(),
    ...diskFacts(host),
    acceleration: { mode: 'tcg', reason: 'The host is simulated: its guests run nowhere.' },
    hypervisorVersion: '9.2.0',
    libvirtVersion: '11.3.0',
    kernelVersion: '6.12.0',
    ...topologyOf(hardware, hugePagesOf),
    nicLimits: true,
    features: host.features,
    bootId: host.bootId,
  };
}

/** As many real machines number their CPUs: first one thread of each core, then their siblings. */
export function topologyOf(
  { cpuThreads, memoryMib, numaNodes = 1, threadsPerCore = 1, isolatedCpus = [] }: SimulatedHardware,
  hugePagesOf: (node: number) => NumaNode['hugePages'] = () => [],
) {
  const cores = Math.ceil(cpuThreads / threadsPerCore);
  const coresPerNode = Math.ceil(cores / numaNodes);
  const cpus = Array.from({ length: cpuThreads }, (_, id) => {
    const core = id % cores;
    const node = Math.floor(core / coresPerNode);
    return { id, node, socket: node, core: core % coresPerNode, isolated: isolatedCpus.includes(id) };
  });
  const nodes = Array.from({ length: numaNodes }, (_, id) => ({
    id,
    memoryMib: Math.floor(memoryMib / numaNodes),
    hugePages: hugePagesOf(id),
  }));
  return { cpus, numaNodes: nodes };
}

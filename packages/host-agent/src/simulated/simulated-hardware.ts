// What a simulated host says it is.
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { HostFeature } from '@virga/contract/agent/host-features';

export type SimulatedHardware = { cpuThreads: number; memoryMib: number; storageBytes: number };

export function hostFacts(
  name: string,
  hardware: SimulatedHardware,
  host: { bootId: string; features: HostFeature[]; freeBytes(): number },
): HostFacts {
  return {
    name,
    arch: 'x86_64',
    cpuModel: 'Simulated',
    cpuThreads: hardware.cpuThreads,
    memoryMib: hardware.memoryMib,
    storagePath: `/simulated/${name}`,
    storageTotalBytes: hardware.storageBytes,
    storageFreeBytes: host.freeBytes(),
    acceleration: { mode: 'tcg', reason: 'The host is simulated: its guests run nowhere.' },
    hypervisorVersion: '9.2.0',
    libvirtVersion: '11.3.0',
    kernelVersion: '6.12.0',
    nicLimits: true,
    features: host.features,
    bootId: host.bootId,
  };
}

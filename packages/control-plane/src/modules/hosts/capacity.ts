// How much of a host may be promised. Pure arithmetic over its facts and the settings.
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { Settings } from '../../deps.ts';

/** vCPUs may be promised several times over, memory never: it is the host's less what the host needs itself. */
export function schedulable(
  { cpuThreads, memoryMib }: Pick<HostFacts, 'cpuThreads' | 'memoryMib'>,
  { vcpuOvercommit, hostReserveMib, hostReserveRatio }: Settings,
): { vcpus: number; memoryMib: number } {
  const reserveMib = Math.max(hostReserveMib, Math.ceil(memoryMib * hostReserveRatio));
  return { vcpus: Math.floor(cpuThreads * vcpuOvercommit), memoryMib: Math.max(0, memoryMib - reserveMib) };
}

/** Free space above the reserve; negative when the reserve is touched. */
export function storageHeadroomBytes(
  { storageFreeBytes, storageTotalBytes }: Pick<HostFacts, 'storageFreeBytes' | 'storageTotalBytes'>,
  { storageReserveBytes, storageReserveRatio }: Settings,
): number {
  return storageFreeBytes - Math.max(storageReserveBytes, Math.ceil(storageTotalBytes * storageReserveRatio));
}

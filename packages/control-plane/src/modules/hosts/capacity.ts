// How much of a host may be promised. Pure arithmetic over its facts and the settings.
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { HugePageKib } from '@virga/contract/agent/host-memory';
import type { Settings } from '../../deps.ts';

/** What an administrator has said of a host; null: as the cloud has it. */
export type HostPolicy = { vcpu_overcommit: number | null; memory_overcommit: number | null };
const ofCloud: HostPolicy = { vcpu_overcommit: null, memory_overcommit: null };

/**
 * vCPUs may be promised several times over; memory is the host's less what the host needs itself and what its huge pages
 * take, and is promised once unless an administrator says otherwise.
 */
export function schedulable(
  { cpuThreads, memoryMib, numaNodes = [] }: Pick<HostFacts, 'cpuThreads' | 'memoryMib'> & Partial<HostFacts>,
  { vcpuOvercommit, hostReserveMib, hostReserveRatio, memoryOvercommit }: Settings,
  { vcpu_overcommit, memory_overcommit }: HostPolicy = ofCloud,
): { vcpus: number; memoryMib: number } {
  const reserveMib = Math.max(hostReserveMib, Math.ceil(memoryMib * hostReserveRatio));
  const ordinaryMib = memoryMib - reserveMib - hugePagesMib({ numaNodes });
  return {
    vcpus: Math.floor(cpuThreads * (vcpu_overcommit ?? vcpuOvercommit)),
    memoryMib: Math.max(0, Math.floor(ordinaryMib * (memory_overcommit ?? memoryOvercommit))),
  };
}

/**
 * Static huge pages of that size that instances can have: those that a host has reserved, without what others use of them.
 * @param allocated to instances, of which some may not have been started yet
 */
export function hugePagesForGuests(host: Pick<HostFacts, 'numaNodes'>, kib: HugePageKib, allocated: number): number {
  let [total, used] = [0, 0];
  for (const pages of pagesOf(host).filter(({ sizeKib }) => sizeKib === kib)) {
    total += pages.total;
    used += pages.total - pages.free;
  }
  return total - Math.max(0, used - allocated);
}

const hugePagesMib = (host: Pick<HostFacts, 'numaNodes'>): number =>
  Math.ceil(pagesOf(host).reduce((sum, { sizeKib, total }) => sum + total * sizeKib, 0) / 1024);

const pagesOf = ({ numaNodes }: Pick<HostFacts, 'numaNodes'>) => numaNodes.flatMap(({ hugePages }) => hugePages);

/** Free space above the reserve; negative when the reserve is touched. */
export function storageHeadroomBytes(
  { storageFreeBytes, storageTotalBytes }: Pick<HostFacts, 'storageFreeBytes' | 'storageTotalBytes'>,
  { storageReserveBytes, storageReserveRatio }: Settings,
): number {
  return storageFreeBytes - Math.max(storageReserveBytes, Math.ceil(storageTotalBytes * storageReserveRatio));
}

// What the kernel tells of a host's memory: how much is available, what merging has saved, which huge pages there are. Reads
// anew each time, changes nothing.
import type { HostMemory, KsmState } from '@virga/contract/agent/host-memory';
import type { HostSystem } from '../host-system/host-system.ts';
import { kibOf } from '../host-system/kib-of.ts';
import { hostTopology } from '../host-topology/host-topology.ts';

const ksmFolder = '/sys/kernel/mm/ksm';
const usualPageKib = 4;

export async function readHostMemory(system: HostSystem): Promise<Omit<HostMemory, 'guests'>> {
  const [meminfo, ksm, { numaNodes }] = await Promise.all([
    system.read('/proc/meminfo'),
    readKsm(system),
    hostTopology(system),
  ]);
  const field = (name: string): number => kibOf(meminfo ?? '', name) ?? 0;
  const pages = new Map<number, { sizeKib: number; total: number; free: number }>();
  for (const { sizeKib, total, free } of numaNodes.flatMap(({ hugePages }) => hugePages)) {
    const sum = pages.get(sizeKib) ?? { sizeKib, total: 0, free: 0 };
    pages.set(sizeKib, { sizeKib, total: sum.total + total, free: sum.free + free });
  }
  return {
    totalKib: field('MemTotal'),
    availableKib: field('MemAvailable'),
    swapUsedKib: Math.max(0, field('SwapTotal') - field('SwapFree')),
    ksm,
    hugePages: [...pages.values()].sort((one, other) => one.sizeKib - other.sizeKib),
  };
}

/** In MiB; undefined when the kernel does not tell. */
export async function availableMemoryMib(system: HostSystem): Promise<number | undefined> {
  const available = kibOf((await system.read('/proc/meminfo')) ?? '', 'MemAvailable');
  return available === undefined ? undefined : Math.floor(available / 1024);
}

/** Null: the kernel was built without. */
export async function readKsm(system: HostSystem): Promise<KsmState | null> {
  const number = async (name: string) => Number((await system.read(`${ksmFolder}/${name}`))?.trim() ?? Number.NaN);
  const [run, pagesToScan, fullScans, shared, sharing] = await Promise.all(
    ['run', 'pages_to_scan', 'full_scans', 'pages_shared', 'pages_sharing'].map(number),
  );
  if (Number.isNaN(run)) return null;
  const pageKib = await readPageKib(system);
  return {
    running: run === 1,
    pagesToScan: pagesToScan!,
    fullScans: fullScans!,
    sharedKib: shared! * pageKib,
    savedKib: sharing! * pageKib,
  };
}

/** Size of an ordinary page: 4 KiB but on some ARM kernels. */
export async function readPageKib(system: HostSystem): Promise<number> {
  return kibOf((await system.read('/proc/self/smaps')) ?? '', 'KernelPageSize') ?? usualPageKib;
}

// Static huge pages as guests of libvirt can have them: it takes them from a hugetlbfs that was mounted when it was started,
// and from no other. Reads anew each time.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { type HostFeature, hugePageFeature } from '@virga/contract/agent/host-features';
import { type HugePageKib, hugePageName, hugePageSizes, hugePagesOf } from '@virga/contract/agent/host-memory';
import { VirgaError } from '@virga/contract/errors';
import type { HostSystem } from '../../host-system/host-system.ts';
import { hostTopology } from '../../host-topology/host-topology.ts';
import { hasNodeMemory } from '../../pending-memory.ts';

/** Which sizes libvirtd has found: it makes a folder of its own in each hugetlbfs that there is at its start. */
export async function hugePageFeatures(system: HostSystem): Promise<HostFeature[]> {
  const mounts = ((await system.read('/proc/mounts')) ?? '').split('\n').map((line) => line.split(' '));
  const found = new Set<number>();
  for (const [, path = '', kind, options = ''] of mounts) {
    if (kind !== 'hugetlbfs') continue;
    if (await system.exists(`${unescaped(path)}/libvirt/qemu`)) found.add(sizeOf(options));
  }
  return hugePageSizes.filter((kib) => found.has(kib)).map(hugePageFeature);
}

/** Such as `rw,relatime,pagesize=2M`. */
function sizeOf(options: string): number {
  const [, count, unit] = /(?:^|,)pagesize=(\d+)([KMG]?)/.exec(options) ?? [];
  return Number(count ?? 0) * { '': 1 / 1024, K: 1, M: 1024, G: 1024 * 1024 }[unit ?? '']!;
}

/** Blanks and the like stand there in octal. */
const unescaped = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** QEMU takes all of them when it starts. @throws NoCapacity there are not as many free as it needs */
export async function requireHugePages(system: HostSystem, desired: DesiredInstance): Promise<void> {
  const { hugePageKib } = desired.memoryBacking;
  if (hugePageKib === null) return;
  const { numaNodes } = await hostTopology(system);
  // Who only prefers a node gets what it lacks from others.
  const node = hasNodeMemory(desired) ? desired.cpu.node : null;
  const free = numaNodes
    .filter(({ id }) => node === null || id === node)
    .flatMap(({ hugePages }) => hugePages)
    .reduce((sum, pages) => sum + (pages.sizeKib === hugePageKib ? pages.free : 0), 0);
  const needed = hugePagesOf(desired.memoryMib, hugePageKib);
  if (free >= needed) return;
  throw tooFew(free, needed, hugePageKib, node);
}

/** Also what a simulated host says. */
export function tooFew(free: number, needed: number, kib: HugePageKib, node: number | null): VirgaError {
  return new VirgaError('NoCapacity', {
    detail: `The host has ${free} free huge pages of ${hugePageName(kib)}${node === null ? '' : ` in NUMA node ${node}`}; ${needed} are needed.`,
    action: 'Look at who uses them, and reserve more: virga hosts memory; docs/guides/memory.md.',
  });
}

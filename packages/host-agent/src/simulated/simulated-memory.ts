// The memory of a simulated host and of its guests. Every mergeable guest of a host has the same pages, a quarter of what it
// has, so that those of all but one are saved. A guest lends memory at once.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { type GuestMemory, type HostMemory, hugePagesOf, type MemoryKeeping } from '@virga/contract/agent/host-memory';
import type { InstanceId } from '@virga/contract/ids';
import { tooFew } from '../libvirt/host/huge-pages.ts';
import { hasNodeMemory } from '../pending-memory.ts';
import type { Calls } from './call-steps.ts';
import { sizesOf } from './guest-sizes.ts';
import type { StoredDomain } from './host-records.ts';
import type { SimulatedHardware } from './simulated-hardware.ts';
import type { SimulatedHost } from './simulated-host.ts';

const kibPerMib = 1024;
/** Of what a guest has, while it does nothing. */
const usedShare = 0.5;
const equalShare = 0.25;

export type MemoryControls = {
  /** What others on the host leave of its memory; null takes them away. */
  leaveMemory(availableMib: number | null): void;
  /** Static huge pages of a size that the host has reserved, in a node. It tells when it is looked at anew. */
  reserveHugePages(sizeKib: 2048 | 1_048_576, count: number, node?: number): void;
};

export function memoryControls(host: SimulatedHost): MemoryControls {
  return {
    leaveMemory: (availableMib) => {
      host.availableMib = availableMib;
    },
    reserveHugePages: (sizeKib, count, node = 0) => {
      const reserved = host.hugePages.get(sizeKib) ?? [];
      reserved[node] = count;
      host.hugePages.set(sizeKib, reserved);
    },
  };
}

export function simulatedMemory(host: SimulatedHost, calls: Calls, hardware: SimulatedHardware): MemoryKeeping {
  return {
    hostMemory: (cloudId, context) =>
      calls.run('hostMemory', 'memory', context, () => memoryOf(host, hardware, cloudId)),
    lendMemory: (id, memoryMib, context) => calls.run('lendMemory', id, context, () => lend(host, id, memoryMib)),
  };
}

/** What of it is told with the facts of the host. */
export const memoryFacts = (host: SimulatedHost, { memoryMib }: SimulatedHardware) => ({
  availableMib: availableMibOf(host, memoryMib),
  hugePagesOf: (node: number) => hugePagesOfNode(host, node),
});

/** QEMU takes all of them when it starts. @throws NoCapacity there are not as many free as it needs */
export function requireHugePages(host: SimulatedHost, desired: DesiredInstance): void {
  const { hugePageKib } = desired.memoryBacking;
  if (hugePageKib === null) return;
  const node = hasNodeMemory(desired) ? desired.cpu.node : null;
  const pages = node === null ? hugePagesOfHost(host) : hugePagesOfNode(host, node);
  const { free = 0 } = pages.find(({ sizeKib }) => sizeKib === hugePageKib) ?? {};
  const needed = hugePagesOf(desired.memoryMib, hugePageKib);
  if (free < needed) throw tooFew(free, needed, hugePageKib, node);
}

function hugePagesOfHost(host: SimulatedHost) {
  return [...host.hugePages].map(([sizeKib, nodes]) => {
    const all = nodes.map((_, node) => hugePagesOfNode(host, node).find((pages) => pages.sizeKib === sizeKib)!);
    const sum = (of: 'total' | 'free') => all.reduce((amount, pages) => amount + pages[of], 0);
    return { sizeKib, total: sum('total'), free: sum('free') };
  });
}

const hugePagesOfNode = (host: SimulatedHost, node: number) =>
  [...host.hugePages].map(([sizeKib, nodes]) => {
    const total = nodes[node] ?? 0;
    return { sizeKib, total, free: total - usedHugePages(host, sizeKib, nodes)[node]! || 0 };
  });

/** Of guests that are on, in each node: those that prefer one get what it lacks from others. */
function usedHugePages(host: SimulatedHost, sizeKib: number, nodes: readonly number[]): number[] {
  const used = nodes.map(() => 0);
  const users = running(host).filter(({ record }) => record.desired.memoryBacking.hugePageKib === sizeKib);
  const isBound = ({ record }: StoredDomain) => hasNodeMemory(record.desired);
  for (const domain of users.sort((one, other) => Number(isBound(other)) - Number(isBound(one)))) {
    const { memoryMib, cpu } = domain.record.desired;
    let missing = Math.ceil((memoryMib * kibPerMib) / sizeKib);
    const first = cpu.node ?? 0;
    for (const node of [first, ...nodes.keys()]) {
      const taken = Math.min(missing, Math.max(0, (nodes[node] ?? 0) - (used[node] ?? 0)));
      used[node] = (used[node] ?? 0) + taken;
      missing -= taken;
    }
  }
  return used;
}

function memoryOf(host: SimulatedHost, { memoryMib }: SimulatedHardware, cloudId: string): HostMemory {
  const guests = running(host).map(guestMemoryOf);
  const merged = guests.map(({ mergedKib }) => mergedKib ?? 0).sort((one, other) => other - one);
  const [shared = 0] = merged;
  const mergeable = merged.filter((kib) => kib > 0).length;
  const isMerging = mergeable > 1;
  return {
    totalKib: memoryMib * kibPerMib,
    availableKib: availableMibOf(host, memoryMib) * kibPerMib,
    swapUsedKib: 0,
    ksm: {
      running: true,
      pagesToScan: 100,
      fullScans: 1,
      sharedKib: isMerging ? shared : 0,
      savedKib: isMerging ? merged.reduce((sum, kib) => sum + kib, 0) - shared : 0,
    },
    hugePages: hugePagesOfHost(host),
    guests: guests
      .filter((guest) => guest.cloudId === cloudId)
      .map((guest) => ({ ...guest, mergedKib: isMerging ? guest.mergedKib : 0 })),
  };
}

/** What others leave, and what guests lend. */
function availableMibOf(host: SimulatedHost, memoryMib: number): number {
  const lentMib = running(host).reduce((sum, domain) => {
    const { memoryMib: has, wantedMemoryMib } = sizesOf(domain);
    return sum + Math.max(0, wantedMemoryMib - has);
  }, 0);
  return Math.min(memoryMib, (host.availableMib ?? memoryMib) + lentMib);
}

function guestMemoryOf(domain: StoredDomain): GuestMemory {
  const { desired } = domain.record;
  const { memoryMib, wantedMemoryMib } = sizesOf(domain);
  const { hugePageKib, mergeable } = desired.memoryBacking;
  const currentKib = memoryMib * kibPerMib;
  const isOnHugePages = hugePageKib !== null;
  const used = Math.round(wantedMemoryMib * kibPerMib * usedShare * 0.5);
  return {
    id: desired.id,
    cloudId: desired.cloudId,
    promisedKib: wantedMemoryMib * kibPerMib,
    currentKib,
    residentKib: isOnHugePages ? 0 : Math.round(currentKib * usedShare),
    usableKib: desired.warm ? null : Math.max(0, currentKib - used),
    hugePagesKib: isOnHugePages ? currentKib : 0,
    templateSharedKib: desired.warm ? Math.round(currentKib * usedShare) : 0,
    templateSavedKib: desired.warm ? Math.round(currentKib * usedShare * 0.5) : 0,
    mergedKib: mergeable && !isOnHugePages ? Math.round(currentKib * equalShare) : 0,
    mergeable: mergeable && !isOnHugePages,
    hasBalloon: desired.hardware === 'virtio' && !desired.warm,
  };
}

function lend(host: SimulatedHost, id: InstanceId, memoryMib: number): boolean {
  const domain = host.domain(id);
  if (domain === undefined || domain.power === 'off' || domain.record.desired.origin !== 'launched') return false;
  if (!guestMemoryOf(domain).hasBalloon) return false;
  const sizes = sizesOf(domain);
  const has = host.keepsMemory(id) ? Math.max(sizes.memoryMib, memoryMib) : memoryMib;
  host.setDomain(id, { ...domain, sizes: { ...sizes, memoryMib: Math.min(has, sizes.wantedMemoryMib) } });
  return true;
}

const running = (host: SimulatedHost): StoredDomain[] =>
  host.store.domains.all().filter(({ power }) => power !== 'off');

// The memory of a simulated host and of its guests. Every mergeable guest of a host has the same pages, a quarter of what it
// has, so that those of all but one are saved. A guest lends memory at once.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import {
  type GuestMemory,
  type HostMemory,
  hugePageName,
  hugePagesOf,
  type MemoryKeeping,
} from '@virga/contract/agent/host-memory';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
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
  /** Static huge pages of a size that the host has reserved. It tells when it is looked at anew. */
  reserveHugePages(sizeKib: 2048 | 1_048_576, count: number): void;
};

export function memoryControls(host: SimulatedHost): MemoryControls {
  return {
    leaveMemory: (availableMib) => {
      host.availableMib = availableMib;
    },
    reserveHugePages: (sizeKib, count) => void host.hugePages.set(sizeKib, count),
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
  hugePages: hugePagesOfHost(host),
});

/** QEMU takes all of them when it starts. @throws NoCapacity there are not as many free as it needs */
export function requireHugePages(
  host: SimulatedHost,
  { memoryBacking: { hugePageKib }, memoryMib }: DesiredInstance,
): void {
  if (hugePageKib === null) return;
  const { free = 0 } = hugePagesOfHost(host).find(({ sizeKib }) => sizeKib === hugePageKib) ?? {};
  const needed = hugePagesOf(memoryMib, hugePageKib);
  if (free >= needed) return;
  throw new VirgaError('NoCapacity', {
    detail: `The host has ${free} free huge pages of ${hugePageName(hugePageKib)}; ${needed} are needed.`,
    action: 'Look at who uses them, and reserve more: virga hosts memory; docs/guides/memory.md.',
  });
}

const hugePagesOfHost = (host: SimulatedHost) =>
  [...host.hugePages].map(([sizeKib, total]) => ({
    sizeKib,
    total,
    free: Math.max(0, total - usedHugePages(host, sizeKib)),
  }));

/** Of guests that are on. */
function usedHugePages(host: SimulatedHost, sizeKib: number): number {
  return running(host)
    .filter(({ record }) => record.desired.memoryBacking.hugePageKib === sizeKib)
    .reduce((sum, { record }) => sum + Math.ceil((record.desired.memoryMib * kibPerMib) / sizeKib), 0);
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

// What of a host's CPUs is for whom, as guests' threads are pinned by it. Pure: from the CPUs that there are and the pools that
// the control plane wants to where each thread of a guest may run.
import type { DesiredCpuPools, GuestCpuModel } from '@virga/contract/agent/cpu-map';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { CpuLayout } from '../../host-topology/cpu-layout.ts';
import type { CpuWeights } from './cpu-weights.ts';

export type CpuDivision = {
  layout: CpuLayout;
  pools: Pick<DesiredCpuPools, 'reserved' | 'dedicated'>;
};

/** What a host says of its CPUs to every guest. */
export type HostCpuChoices = {
  division: CpuDivision;
  /** Undefined: they can neither be weighed nor capped. */
  weights: CpuWeights | undefined;
  /** Null: as the host's. */
  guestModel: GuestCpuModel | null;
};

/** Where the threads of a guest may run. */
export type Pins = {
  /** By number of the vCPU, up to those that it could have. */
  vcpus: readonly number[][];
  /** Threads of QEMU itself, and those of its disks. */
  emulator: readonly number[];
};

type Tuned = Pick<DesiredInstance, 'cpu' | 'maxVcpus'>;

export const wholeHost: DesiredCpuPools = { reserved: [], dedicated: [], guestModel: null };

/** Nothing is kept from anybody: the kernel may do with guests what it likes. */
export const isUndivided = ({ reserved, dedicated }: Pick<DesiredCpuPools, 'reserved' | 'dedicated'>): boolean =>
  reserved.length === 0 && dedicated.length === 0;

export function pinsOf({ cpu, maxVcpus }: Tuned, division: CpuDivision): Pins {
  const { layout } = division;
  const own = cpu.hostCpus.filter((id) => layout.online.includes(id));
  const { shared, emulators } = placesOf(division);
  const here = cpu.node === null ? undefined : layout.nodes.get(cpu.node);
  const inNode = (cpus: readonly number[]) => orElse(here ? cpus.filter((id) => here.includes(id)) : cpus, cpus);
  const vcpus = Array.from({ length: maxVcpus }, (_, vcpu) => {
    if (own.length === 0) return [...inNode(shared)];
    // One that is not plugged in yet has none of its own, and keeps to those of the others until it has.
    const one = cpu.hostCpus[vcpu];
    return one !== undefined && own.includes(one) ? [one] : [...own];
  });
  const others = emulators.filter((id) => !own.includes(id));
  return { vcpus, emulator: [...inNode(orElse(others, emulators))] };
}

/** Whether these are where the kernel would put the guest without a word. */
export function isAnywhere({ vcpus, emulator }: Pins, { layout }: CpuDivision): boolean {
  const all = ordinary(layout);
  return isSame(emulator, all) && vcpus.every((cpus) => isSame(cpus, all));
}

export const isSame = (one: readonly number[], other: readonly number[]): boolean =>
  one.length === other.length && [...one].sort(ascending).join() === [...other].sort(ascending).join();

/** Where guests run that have no CPUs for themselves, and where QEMU's own threads do. */
function placesOf({ layout, pools }: CpuDivision): { shared: readonly number[]; emulators: readonly number[] } {
  const { online } = layout;
  const without = (cpus: readonly number[], left: readonly number[]) => cpus.filter((id) => !left.includes(id));
  const undedicated = without(ordinary(layout), pools.dedicated);
  const shared = without(undedicated, pools.reserved);
  const fallback = orElse(undedicated, online);
  return { shared: orElse(shared, fallback), emulators: fallback };
}

const ordinary = ({ online, isolated }: CpuLayout): readonly number[] =>
  orElse(
    online.filter((id) => !isolated.includes(id)),
    online,
  );

const orElse = (cpus: readonly number[], other: readonly number[]): readonly number[] =>
  cpus.length > 0 ? cpus : other;

const ascending = (one: number, other: number): number => one - other;

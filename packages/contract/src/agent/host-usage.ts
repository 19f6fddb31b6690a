// What a host and its domains have used so far. Counters, not rates: who asks twice makes the rate, and sees by `bootId` and
// `run` when a counter began anew.
import type { CallContext } from './call-context.ts';

/** Grows from the start of the host. Times are in ms. */
export type CpuUsage = {
  id: number;
  /** Of guests too. */
  busyMs: number;
  /** Nothing to do, or waiting for a disk. */
  idleMs: number;
  /** Taken by a hypervisor below, where the host is a virtual machine itself. */
  stolenMs: number;
};

/** Grows; of all devices together. */
export type TrafficUsage = { receivedBytes: number; sentBytes: number };

/** Grows. */
export type DiskUsage = { readBytes: number; readRequests: number; writtenBytes: number; writeRequests: number };

/** Time that something waited for, in ms. `some`: at least one task did. `full`: all did. Grows. */
export type PressureUsage = {
  cpuSomeMs: number;
  memorySomeMs: number;
  memoryFullMs: number;
  ioSomeMs: number;
  ioFullMs: number;
};

export type DomainUsage = {
  uuid: string;
  /** Another one after each start of the domain, when its counters begin anew. */
  run: string;
  vcpus: number;
  /** Time that the host's processors spent on it, all of its threads. */
  cpuTimeMs: number;
  /** Time that its vCPUs were ready to run and did not, because the host was busy or a cap held them; null: not known. */
  cpuWaitMs: number | null;
  memory: {
    /** Its memory less what the balloon took. */
    currentKib: number;
    /** What the host gives to QEMU. */
    residentKib: number | null;
    /** What the guest itself uses, as its balloon driver told lately; null when it did not. */
    usedKib: number | null;
  };
  /** All its disks together; null when the domain was too busy to tell. */
  disks: DiskUsage | null;
  network: TrafficUsage;
};

export type HostUsage = {
  bootId: string;
  /** Since the host was started, by a clock that nobody sets. */
  uptimeMs: number;
  cpus: CpuUsage[];
  /** Processes that run or wait for a processor or disk, on average over 1, 5 and 15 minutes. */
  load: [number, number, number];
  memory: { totalKib: number; availableKib: number; swapTotalKib: number; swapFreeKib: number };
  /** The block device that the storage folder is on; null when it is on none that the kernel counts for. */
  storage: (DiskUsage & { device: string; busyMs: number }) | null;
  /** Over its network cards, without what stays on the host. */
  network: TrafficUsage;
  /** Null when the kernel does not measure it. */
  pressure: PressureUsage | null;
  /** All that are on, also those of nobody or of other clouds. */
  domains: DomainUsage[];
};

export interface HostMeasuring {
  /** Reads all counters of the host at one moment; one call to the hypervisor however many domains there are. */
  hostUsage(context?: CallContext): Promise<HostUsage>;
}

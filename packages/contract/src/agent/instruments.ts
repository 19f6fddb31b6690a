// What a host measures of an instance, and how it reaches a guest that has no agent: at its keyboard and by interrupt.
import type { InstanceId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

/** Counters grow from the start of the domain; their difference over time is a rate. */
export type InstanceStatistics = {
  at: Date;
  /** Time that the host's processors spent on it, all of its threads, in ns. */
  cpuTimeNs: number;
  vcpus: number;
  memory: {
    /** What the guest has now, in KiB: its memory less what the balloon took. */
    currentKib: number;
    /** What the host gives to QEMU now, in KiB. */
    residentKib: number | null;
    /** What the guest could use without swapping, in KiB, as its balloon driver tells; null when it does not. */
    usableKib: number | null;
  };
  disks: {
    target: string;
    readBytes: number;
    readRequests: number;
    writtenBytes: number;
    writeRequests: number;
    /** Size that the guest sees, and what it takes on the host. */
    capacityBytes: number | null;
    allocatedBytes: number | null;
  }[];
  networkInterfaces: {
    /** Of the host, such as vnet3. */
    device: string;
    receivedBytes: number;
    receivedPackets: number;
    receivedDropped: number;
    sentBytes: number;
    sentPackets: number;
    sentDropped: number;
  }[];
};

/** How long keys are held down together, in ms. */
export const keyHoldMs = 50;

/** Every call fails with NotFound when there is no domain, and with Conflict when it does not run. */
export interface InstrumentAccess {
  statistics(id: InstanceId, context?: CallContext): Promise<InstanceStatistics>;
  /** Presses the keys of each chord together, one chord after the other. @param chords Linux key codes, at most 16 a chord */
  sendKeys(id: InstanceId, chords: readonly (readonly number[])[], context?: CallContext): Promise<void>;
  /** Sends a non-maskable interrupt, which makes most guests dump what they were doing. */
  injectNmi(id: InstanceId, context?: CallContext): Promise<void>;
}

// What simulated guests use: each as much as it was told to, from then on, so that by any moment it has used exactly that much.
// No timers: time that has passed is made up for when somebody looks. Held in memory only, as the guests' counters are on a
// real host: they begin anew when a guest, or the process, is started.
import type { InstanceId } from '@virga/contract/ids';
import type { StoredDomain } from './host-records.ts';
import type { SimulatedHost } from './simulated-host.ts';

export type GuestLoad = {
  /** Processors that it keeps busy, such as 0.5; never more than it has. */
  cpus: number;
  /** vCPUs that are ready to run and do not, on average. */
  waitingCpus: number;
  /** What it uses of its memory; null: its balloon driver does not tell. */
  usedMemoryMib: number | null;
  readBytesPerSecond: number;
  writtenBytesPerSecond: number;
  receivedBytesPerSecond: number;
  sentBytesPerSecond: number;
};

/** A guest that does nothing costs about this much. */
export const idleLoad: GuestLoad = {
  cpus: 0.01,
  waitingCpus: 0,
  usedMemoryMib: null,
  readBytesPerSecond: 0,
  writtenBytesPerSecond: 0,
  receivedBytesPerSecond: 0,
  sentBytesPerSecond: 0,
};

export type LoadControls = {
  /** From now on a guest uses this much; what is not said is as in {@link idleLoad}. */
  setLoad(id: InstanceId, load: Partial<GuestLoad>): void;
};

export type Used = {
  cpuTimeMs: number;
  cpuWaitMs: number;
  readBytes: number;
  writtenBytes: number;
  receivedBytes: number;
  sentBytes: number;
};
type Meter = { run: number; used: Used };
type HostMeters = {
  bootId: string;
  settledAtMs: number;
  loads: Map<InstanceId, GuestLoad>;
  guests: Map<InstanceId, Meter>;
  /** Of all guests that there were since the host was started. */
  total: Used;
};

const metersOfHosts = new WeakMap<SimulatedHost, HostMeters>();
const nothing = (): Used => ({
  cpuTimeMs: 0,
  cpuWaitMs: 0,
  readBytes: 0,
  writtenBytes: 0,
  receivedBytes: 0,
  sentBytes: 0,
});

export function setLoad(host: SimulatedHost, id: InstanceId, load: Partial<GuestLoad>, nowMs: number): void {
  settled(host, nowMs).loads.set(id, { ...idleLoad, ...load });
}

export const loadOf = (host: SimulatedHost, id: InstanceId): GuestLoad =>
  metersOfHosts.get(host)?.loads.get(id) ?? idleLoad;

/** What a guest that is on has used since its start. */
export const usedByGuest = (host: SimulatedHost, id: InstanceId, nowMs: number): Used =>
  settled(host, nowMs).guests.get(id)?.used ?? nothing();

/** What all guests have used since the host was started. */
export const usedOnHost = (host: SimulatedHost, nowMs: number): Used => settled(host, nowMs).total;

function settled(host: SimulatedHost, nowMs: number): HostMeters {
  const { bootId } = host;
  const known = metersOfHosts.get(host);
  const loads = known?.loads ?? new Map();
  const meters =
    known?.bootId === bootId
      ? known
      : { bootId, settledAtMs: nowMs, loads, guests: new Map<InstanceId, Meter>(), total: nothing() };
  metersOfHosts.set(host, meters);
  const seconds = Math.max(0, nowMs - meters.settledAtMs) / 1000;
  meters.settledAtMs = Math.max(nowMs, meters.settledAtMs);
  const on = new Set<InstanceId>();
  for (const domain of host.store.domains.all()) {
    if (domain.power === 'off') continue;
    const id = domain.record.instanceId;
    on.add(id);
    const meter = meters.guests.get(id);
    if (meter?.run !== domain.boots) meters.guests.set(id, { run: domain.boots, used: nothing() });
    else if (domain.power === 'running') pass(meters, meter, loadOf(host, id), domain, seconds);
  }
  for (const id of meters.guests.keys()) if (!on.has(id)) meters.guests.delete(id);
  return meters;
}

function pass({ total }: HostMeters, { used }: Meter, load: GuestLoad, domain: StoredDomain, seconds: number): void {
  const vcpus = domain.sizes?.vcpus ?? domain.record.desired.vcpus;
  for (const counters of [used, total]) {
    counters.cpuTimeMs += Math.min(load.cpus, vcpus) * seconds * 1000;
    counters.cpuWaitMs += load.waitingCpus * seconds * 1000;
    counters.readBytes += load.readBytesPerSecond * seconds;
    counters.writtenBytes += load.writtenBytesPerSecond * seconds;
    counters.receivedBytes += load.receivedBytesPerSecond * seconds;
    counters.sentBytes += load.sentBytesPerSecond * seconds;
  }
}

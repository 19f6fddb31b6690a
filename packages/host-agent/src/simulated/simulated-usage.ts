// What a simulated host has used: what its guests have, and nothing of its own.
import type { CallContext } from '@virga/contract/agent/agent';
import type { DomainUsage, HostMeasuring } from '@virga/contract/agent/host-usage';
import type { Clock } from '../clock.ts';
import type { Calls } from './call-steps.ts';
import type { StoredDomain } from './host-records.ts';
import type { SimulatedHardware } from './simulated-hardware.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { type LoadControls, loadOf, setLoad, type Used, usedByGuest, usedOnHost } from './simulated-load.ts';

/** Of each read and write. */
const requestBytes = 4096;
/** Of the memory of a guest whose driver does not tell, what the host has given to it. */
const residentShare = 0.5;
const kibPerMib = 1024;

export function simulatedMeasuring(
  host: SimulatedHost,
  calls: Calls,
  clock: Clock,
  { cpuThreads, memoryMib }: SimulatedHardware,
): HostMeasuring {
  return {
    hostUsage: (context?: CallContext) =>
      calls.run('hostUsage', 'host', context, () => {
        const nowMs = clock.now();
        const used = usedOnHost(host, nowMs);
        const domains = host.store.domains
          .all()
          .filter(({ power }) => power !== 'off')
          .map((domain) => usageOf(host, domain, nowMs));
        const residentKib = domains.reduce((sum, { memory }) => sum + (memory.residentKib ?? 0), 0);
        const busyMs = used.cpuTimeMs / cpuThreads;
        return {
          bootId: host.bootId,
          uptimeMs: nowMs,
          cpus: Array.from({ length: cpuThreads }, (_, id) => ({ id, busyMs, idleMs: nowMs - busyMs, stolenMs: 0 })),
          load: [0, 0, 0],
          memory: {
            totalKib: memoryMib * kibPerMib,
            availableKib: Math.max(0, memoryMib * kibPerMib - residentKib),
            swapTotalKib: 0,
            swapFreeKib: 0,
          },
          storage: { device: 'sim0', busyMs: 0, ...disksOf(used) },
          network: { receivedBytes: used.receivedBytes, sentBytes: used.sentBytes },
          pressure: { cpuSomeMs: used.cpuWaitMs, memorySomeMs: 0, memoryFullMs: 0, ioSomeMs: 0, ioFullMs: 0 },
          domains,
        };
      }),
  };
}

export const loadControls = (host: SimulatedHost, clock: Clock): LoadControls => ({
  setLoad: (id, load) => setLoad(host, id, load, clock.now()),
});

function usageOf(host: SimulatedHost, { record, boots, sizes }: StoredDomain, nowMs: number): DomainUsage {
  const { desired, instanceId } = record;
  const used = usedByGuest(host, instanceId, nowMs);
  const { usedMemoryMib } = loadOf(host, instanceId);
  const currentKib = (sizes?.memoryMib ?? desired.memoryMib) * kibPerMib;
  return {
    uuid: desired.uuid,
    run: String(boots),
    vcpus: sizes?.vcpus ?? desired.vcpus,
    cpuTimeMs: used.cpuTimeMs,
    cpuWaitMs: used.cpuWaitMs,
    memory: {
      currentKib,
      residentKib: usedMemoryMib === null ? currentKib * residentShare : usedMemoryMib * kibPerMib,
      usedKib: usedMemoryMib === null ? null : usedMemoryMib * kibPerMib,
    },
    disks: disksOf(used, boots),
    network: { receivedBytes: used.receivedBytes, sentBytes: used.sentBytes },
  };
}

/** A boot reads one block. */
export const disksOf = ({ readBytes, writtenBytes }: Used, boots = 0): NonNullable<DomainUsage['disks']> => ({
  readBytes: Math.round(readBytes) + boots * requestBytes,
  readRequests: Math.round(readBytes / requestBytes) + boots,
  writtenBytes: Math.round(writtenBytes),
  writeRequests: Math.round(writtenBytes / requestBytes),
});

// What is measured of a simulated guest, which uses what its load says for every moment that it is on. Keys and interrupts
// show on its serial console, as a guest that listens would show them.
import type { CallContext } from '@virga/contract/agent/agent';
import type { InstrumentAccess } from '@virga/contract/agent/instruments';
import type { InstanceId } from '@virga/contract/ids';
import type { Clock } from '../clock.ts';
import type { Calls } from './call-steps.ts';
import type { StoredDomain } from './host-records.ts';
import { requireRunning } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { loadOf, usedByGuest } from './simulated-load.ts';
import { disksOf } from './simulated-usage.ts';

export function simulatedInstruments(host: SimulatedHost, calls: Calls, clock: Clock): InstrumentAccess {
  const ofRunning = <T>(
    method: string,
    id: InstanceId,
    context: CallContext | undefined,
    work: (domain: StoredDomain) => T,
  ) => calls.run(method, id, context, () => work(requireRunning(host, id)));
  return {
    statistics: (id, context) =>
      ofRunning('statistics', id, context, ({ record: { desired }, boots }) => {
        const nowMs = clock.now();
        const used = usedByGuest(host, id, nowMs);
        const { usedMemoryMib } = loadOf(host, id);
        const usableMib = usedMemoryMib === null ? null : Math.max(0, desired.memoryMib - usedMemoryMib);
        return {
          at: new Date(nowMs),
          cpuTimeNs: Math.round(used.cpuTimeMs * 1e6),
          vcpus: desired.vcpus,
          memory: {
            currentKib: desired.memoryMib * 1024,
            residentKib: desired.memoryMib * 512,
            usableKib: usableMib === null ? null : usableMib * 1024,
          },
          disks: [
            {
              target: 'vda',
              ...disksOf(used, boots),
              capacityBytes: desired.rootDisk.sizeBytes,
              allocatedBytes: host.store.folders.get(id)?.rootDiskBytes ?? null,
            },
          ],
          networkInterfaces: desired.nics.map((_nic, index) => ({
            device: `vnet${index}`,
            receivedBytes: index === 0 ? Math.round(used.receivedBytes) : 0,
            receivedPackets: 0,
            receivedDropped: 0,
            sentBytes: index === 0 ? Math.round(used.sentBytes) : 0,
            sentPackets: 0,
            sentDropped: 0,
          })),
        };
      }),
    sendKeys: (id, chords, context) =>
      ofRunning('sendKeys', id, context, () =>
        host.print(id, `[keys ${chords.map((chord) => chord.join('+')).join(' ')}]\r\n`),
      ),
    injectNmi: (id, context) => ofRunning('injectNmi', id, context, () => host.print(id, '[nmi]\r\n')),
  };
}

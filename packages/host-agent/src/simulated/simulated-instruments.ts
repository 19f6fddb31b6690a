// What is measured of a simulated guest: it uses a little of everything for every moment that it is on. Keys and interrupts
// show on its serial console, as a guest that listens would show them.
import type { CallContext } from '@virga/contract/agent/agent';
import type { InstrumentAccess } from '@virga/contract/agent/instruments';
import type { InstanceId } from '@virga/contract/ids';
import type { Clock } from '../clock.ts';
import type { Calls } from './call-steps.ts';
import type { StoredDomain } from './host-records.ts';
import { requireRunning } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** A guest that does nothing costs about this much of a core. */
const idleShare = 0.01;

export function simulatedInstruments(host: SimulatedHost, calls: Calls, clock: Clock): InstrumentAccess {
  const ofRunning = <T>(
    method: string,
    id: InstanceId,
    context: CallContext | undefined,
    work: (domain: StoredDomain) => T,
  ) => calls.run(method, id, context, () => work(requireRunning(host, id)));
  return {
    statistics: (id, context) =>
      ofRunning('statistics', id, context, ({ record: { desired }, boots }) => ({
        at: new Date(clock.now()),
        cpuTimeNs: Math.round(clock.now() * 1e6 * idleShare),
        vcpus: desired.vcpus,
        memory: { currentKib: desired.memoryMib * 1024, residentKib: desired.memoryMib * 512, usableKib: null },
        disks: [
          {
            target: 'vda',
            readBytes: boots * 4096,
            readRequests: boots,
            writtenBytes: 0,
            writeRequests: 0,
            capacityBytes: desired.rootDisk.sizeBytes,
            allocatedBytes: host.store.folders.get(id)?.rootDiskBytes ?? null,
          },
        ],
        networkInterfaces: desired.nics.map((_nic, index) => ({
          device: `vnet${index}`,
          receivedBytes: 0,
          receivedPackets: 0,
          receivedDropped: 0,
          sentBytes: 0,
          sentPackets: 0,
          sentDropped: 0,
        })),
      })),
    sendKeys: (id, chords, context) =>
      ofRunning('sendKeys', id, context, () =>
        host.print(id, `[keys ${chords.map((chord) => chord.join('+')).join(' ')}]\r\n`),
      ),
    injectNmi: (id, context) => ofRunning('injectNmi', id, context, () => host.print(id, '[nmi]\r\n')),
  };
}

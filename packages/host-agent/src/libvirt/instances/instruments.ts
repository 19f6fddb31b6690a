// What libvirt measures of an instance, its keyboard, and the button that a machine has for those who debug it. Keeps
// nothing; asks libvirt each time.
import { type InstanceStatistics, type InstrumentAccess, keyHoldMs } from '@virga/contract/agent/instruments';
import type { InstanceId } from '@virga/contract/ids';
import type { DomainStatistics } from '@virga/libvirt/api/domain/statistics';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { requireRunning } from './require-domain.ts';

const groups = ['state', 'cpu', 'balloon', 'vcpu', 'interface', 'block'] as const;

export function instrumentAccess(context: AgentContext): InstrumentAccess {
  const ofRunning = <T>(
    id: InstanceId,
    what: string,
    work: (connection: Connection, domain: DomainRef) => Promise<T>,
  ) =>
    context.hypervisor.act(`${what} ${id}`, async (connection) =>
      work(connection, await requireRunning(context, connection, id)),
    );
  return {
    statistics: (id) =>
      ofRunning(id, 'measure', async ({ domains }, domain) => {
        const [measured] = await domains.stats({ groups, domains: [domain] });
        return statisticsOf(measured?.parameters ?? {}, new Date(context.clock.now()));
      }),
    sendKeys: (id, chords) =>
      ofRunning(id, 'press keys of', async ({ domains }, domain) => {
        for (const chord of chords) await domains.sendKey(domain, chord, { holdMs: keyHoldMs });
      }),
    injectNmi: (id) => ofRunning(id, 'interrupt', ({ domains }, domain) => domains.injectNmi(domain)),
  };
}

/** Libvirt's record of a domain, by its names. */
export function statisticsOf(record: DomainStatistics['parameters'], at: Date): InstanceStatistics {
  const count = (name: string): number => Number(record[name] ?? 0);
  const known = (name: string): number | null => (record[name] === undefined ? null : Number(record[name]));
  const each = <T>(kind: 'block' | 'net', read: (prefix: string) => T): T[] =>
    Array.from({ length: count(`${kind}.count`) }, (_, index) => read(`${kind}.${index}`));
  return {
    at,
    cpuTimeNs: count('cpu.time'),
    vcpus: count('vcpu.current'),
    memory: {
      currentKib: count('balloon.current'),
      residentKib: known('balloon.rss'),
      usableKib: known('balloon.usable'),
    },
    disks: each('block', (prefix) => ({
      target: String(record[`${prefix}.name`] ?? ''),
      readBytes: count(`${prefix}.rd.bytes`),
      readRequests: count(`${prefix}.rd.reqs`),
      writtenBytes: count(`${prefix}.wr.bytes`),
      writeRequests: count(`${prefix}.wr.reqs`),
      capacityBytes: known(`${prefix}.capacity`),
      allocatedBytes: known(`${prefix}.physical`),
    })),
    networkInterfaces: each('net', (prefix) => ({
      device: String(record[`${prefix}.name`] ?? ''),
      // libvirt counts at the guest's card.
      receivedBytes: count(`${prefix}.rx.bytes`),
      receivedPackets: count(`${prefix}.rx.pkts`),
      receivedDropped: count(`${prefix}.rx.drop`),
      sentBytes: count(`${prefix}.tx.bytes`),
      sentPackets: count(`${prefix}.tx.pkts`),
      sentDropped: count(`${prefix}.tx.drop`),
    })),
  };
}

// What this host and its domains have used: the kernel's counters, and libvirt's of every domain that is on, in one call
// however many there are. Keeps nothing.
import { realpath } from 'node:fs/promises';
import type { DomainUsage, HostMeasuring } from '@virga/contract/agent/host-usage';
import type { DomainStatistics } from '@virga/libvirt/api/domain/statistics';
import { hostCounters } from '../../host-usage/host-counters.ts';
import type { AgentContext } from '../agent-context.ts';
import { hostBootId } from './boot-id.ts';

const groups = ['cpu', 'balloon', 'vcpu', 'interface', 'block'] as const;
/** How old what a balloon driver told may be, in seconds: several times what its domain has as the period of that. */
const staleSeconds = 180;
const nsPerMs = 1_000_000;

export function hostMeasuring(context: AgentContext): HostMeasuring {
  return {
    async hostUsage() {
      const storagePath = await realpath(context.storage.path).catch(() => context.storage.path);
      const [counters, domains] = await Promise.all([
        hostCounters(context.system, storagePath),
        // A domain that is being saved or copied tells less at once, rather than all of it late.
        context.hypervisor.reach('measure the domains', (connection) =>
          connection.domains.stats({ groups, active: true, noWait: true }),
        ),
      ]);
      const nowSeconds = context.clock.now() / 1000;
      const used = domains.flatMap((measured) => domainUsage(measured, nowSeconds) ?? []);
      return { bootId: hostBootId(), ...counters, domains: used };
    },
  };
}

/** Undefined for one that has gone meanwhile. */
export function domainUsage({ domain, parameters }: DomainStatistics, nowSeconds: number): DomainUsage | undefined {
  const known = (name: string): number | null => (parameters[name] === undefined ? null : Number(parameters[name]));
  const count = (name: string): number => known(name) ?? 0;
  const sum = (kind: 'block' | 'net', name: string): number => {
    let total = 0;
    for (let index = 0; index < count(`${kind}.count`); index++) total += count(`${kind}.${index}.${name}`);
    return total;
  };
  const cpuTimeNs = known('cpu.time');
  if (cpuTimeNs === null || domain.id < 0) return undefined;
  const vcpus = count('vcpu.current');
  return {
    uuid: domain.uuid,
    run: String(domain.id),
    vcpus,
    cpuTimeMs: cpuTimeNs / nsPerMs,
    cpuWaitMs: waitOf(parameters, count('vcpu.maximum')),
    memory: {
      currentKib: count('balloon.current'),
      residentKib: known('balloon.rss'),
      usedKib: usedOf(known, nowSeconds),
    },
    disks:
      known('block.count') === null
        ? null
        : {
            readBytes: sum('block', 'rd.bytes'),
            readRequests: sum('block', 'rd.reqs'),
            writtenBytes: sum('block', 'wr.bytes'),
            writeRequests: sum('block', 'wr.reqs'),
          },
    network: { receivedBytes: sum('net', 'rx.bytes'), sentBytes: sum('net', 'tx.bytes') },
  };
}

/** Numbers of vCPUs have gaps once some were pulled. Null where the kernel does not tell how long they waited. */
function waitOf(parameters: DomainStatistics['parameters'], maxVcpus: number): number | null {
  let waitNs: number | null = null;
  for (let index = 0; index < maxVcpus; index++) {
    const delay = parameters[`vcpu.${index}.delay`];
    if (delay !== undefined) waitNs = (waitNs ?? 0) + Number(delay);
  }
  return waitNs === null ? null : waitNs / nsPerMs;
}

/** What a guest could not give to others without swapping. A driver that has stopped telling tells nothing. */
function usedOf(known: (name: string) => number | null, nowSeconds: number): number | null {
  const [available, usable, toldAt] = [
    known('balloon.available'),
    known('balloon.usable'),
    known('balloon.last-update'),
  ];
  if (available === null || usable === null || toldAt === null) return null;
  return Math.abs(nowSeconds - toldAt) > staleSeconds ? null : Math.max(0, available - usable);
}

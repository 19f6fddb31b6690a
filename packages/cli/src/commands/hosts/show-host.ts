import { formatCpuList } from '@virga/contract/agent/cpu-list';
import type { Host } from '@virga/contract/rest/hosts';
import { defineCommand } from '../../command.ts';
import { findHost } from '../../lookup.ts';
import { formatAge, formatBytes, formatMib } from '../../output/format.ts';

export const showHost = defineCommand({
  meta: { path: 'hosts show', summary: 'Show a host', section: 'Resources' },
  args: { host: { summary: 'name or id', complete: 'host' } },
  options: {},
  examples: [{ command: 'virga hosts show $(hostname)', explains: 'its capacity, versions and acceleration' }],
  async run(context, { args }) {
    const host = await findHost(await context.client(), args.host);
    await context.print.record(host, hostRows(host, context.nowMs()), host.id);
    return 0;
  },
});

export function hostRows(host: Host, nowMs: number): [string, string | null][] {
  const { facts } = host;
  return [
    ['Name', host.name],
    ['Id', host.id],
    ['State', host.state],
    ['Reason', host.stateReason],
    ['Driver', host.driver],
    ['vCPUs', `${host.allocatedVcpus} of ${host.schedulableVcpus} promised`],
    ['Memory', `${formatMib(host.allocatedMemoryMib)} of ${formatMib(host.schedulableMemoryMib)} promised`],
    ['Overcommit', overcommit(host)],
    ['Memory floor', host.memoryFloorMib === null ? null : formatMib(host.memoryFloorMib)],
    ['Huge pages', hugePages(host)],
    ['Memory merged', host.ksmScope && merged[host.ksmScope]],
    ['Instances', String(host.instanceCount)],
    ['CPU', facts && `${facts.cpuThreads} threads, ${facts.cpuModel}, ${facts.arch}`],
    ['Reserved CPUs', host.reservedCpus.length > 0 ? formatCpuList(host.reservedCpus) : null],
    ['Installed', facts && formatMib(facts.memoryMib)],
    [
      'Storage',
      facts &&
        `${formatBytes(facts.storageFreeBytes)} of ${formatBytes(facts.storageTotalBytes)} free at ${facts.storagePath}`,
    ],
    ['Lies on', disksOf(facts)],
    ['Acceleration', facts && `${facts.acceleration.mode}: ${facts.acceleration.reason}`],
    ['QEMU', facts?.hypervisorVersion ?? null],
    ['libvirt', facts?.libvirtVersion ?? null],
    ['Kernel', facts?.kernelVersion ?? null],
    ['Can give', facts?.features?.join(', ') ?? null],
    ['NIC limits', facts && (facts.nicLimits ? 'can be set' : 'its kernel cannot')],
    ['Boot id', facts?.bootId ?? null],
    ['Last seen', host.lastSeenAt && `${host.lastSeenAt} (${formatAge(host.lastSeenAt, nowMs)} ago)`],
    ['Created', host.createdAt],
  ];
}

const merged = { project: 'of one project at a time', host: 'of all projects', never: 'of nobody' } as const;

/** Nothing when it is as the cloud has it. */
function overcommit({ vcpuOvercommit, memoryOvercommit }: Host): string | null {
  const parts = [
    ...(vcpuOvercommit === null ? [] : [`${vcpuOvercommit} vCPU a thread`]),
    ...(memoryOvercommit === null ? [] : [`memory ${memoryOvercommit} times`]),
  ];
  return parts.length === 0 ? null : parts.join(', ');
}

function hugePages({ hugePages: sizes }: Host): string | null {
  const there = sizes.filter(({ total, allocated }) => total + allocated > 0);
  if (there.length === 0) return null;
  return there
    .map(({ sizeKib, total, allocated }) => `${allocated} of ${total} of ${formatMib(sizeKib / 1024)} promised`)
    .join(', ');
}

/** Such as `nvme0n1 (nvme, volatile)`: what the storage lies on, and whether it keeps what it acknowledges. */
function disksOf(facts: Host['facts']): string | null {
  // Facts of an earlier version say nothing of it.
  const devices = facts?.storageDevices ?? [];
  const text = devices
    .map(({ name, class: kind, verdict }) => `${name} (${kind}, ${verdict} in a power cut)`)
    .join(', ');
  return text === '' ? null : text;
}

import type { Host } from '@virga/contract/rest/hosts';
import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { formatAge, formatBytes, formatMib, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

export const listHosts = defineCommand({
  meta: {
    path: 'hosts list',
    summary: 'List the hosts with their capacity and what is promised of it',
    section: 'Resources',
    groupDefault: true,
  },
  args: {},
  options: {},
  examples: [{ command: 'virga hosts', explains: 'how much room is left' }],
  async run(context) {
    const client = await context.client();
    const items = await listAll((query) => client.listHosts({ query }));
    await context.print.list(items, hostColumns(items, context.nowMs()), (item) => item.id, 'There is no host.');
    return 0;
  },
});

export function hostColumns(items: readonly Host[], nowMs: number): Column<Host>[] {
  const all: Column<Host>[] = [
    { header: 'NAME', value: (item) => item.name, essential: true },
    { header: 'ID', value: (item) => item.id, essential: true },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'VCPU', value: (item) => `${item.allocatedVcpus}/${item.schedulableVcpus}`, whole: true },
    {
      header: 'MEMORY',
      value: (item) => `${formatMib(item.allocatedMemoryMib)}/${formatMib(item.schedulableMemoryMib)}`,
      whole: true,
    },
    { header: 'INSTANCES', value: (item) => String(item.instanceCount), whole: true },
    { header: 'FREE DISK', value: (item) => formatBytes(item.facts?.storageFreeBytes ?? null), whole: true },
    { header: 'ACCEL', value: (item) => item.facts?.acceleration.mode ?? '-', whole: true },
    { header: 'DRIVER', value: (item) => item.driver },
    { header: 'SEEN', value: (item) => (item.lastSeenAt ? `${formatAge(item.lastSeenAt, nowMs)} ago` : 'never') },
  ];
  if (items.some((item) => item.stateReason)) all.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  return all;
}

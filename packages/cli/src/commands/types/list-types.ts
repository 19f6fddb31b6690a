import type { InstanceType } from '@virga/contract/rest/hosts';
import { defineCommand } from '../../command.ts';
import { formatMib } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';
import { describeCpu } from '../cpu-options.ts';
import { describeDiskDriver } from '../disk-driver-options.ts';

const columns: Column<InstanceType>[] = [
  { header: 'NAME', value: (item) => item.name, essential: true },
  { header: 'VCPU', value: (item) => String(item.vcpus), whole: true },
  { header: 'MEMORY', value: (item) => formatMib(item.memoryMib), whole: true },
  { header: 'DISK', value: (item) => `${item.diskGib} GiB`, whole: true },
];

/** Only where a type has them. */
const hugePages: Column<InstanceType> = {
  header: 'HUGE PAGES',
  value: (item) => (item.hugePageKib ? formatMib(item.hugePageKib / 1024) : '-'),
  whole: true,
};

const cpuOf = ({ cpuPolicy, cpuShares, cpuCapPercent }: InstanceType): string | null =>
  describeCpu({
    policy: cpuPolicy ?? 'shared',
    hostCpus: [],
    node: null,
    shares: cpuShares ?? null,
    capPercent: cpuCapPercent ?? null,
  });

const cpu: Column<InstanceType> = { header: 'CPU', value: (item) => cpuOf(item) ?? 'shared' };

const diskDriver: Column<InstanceType> = {
  header: 'DISK DRIVER',
  value: (item) => describeDiskDriver(item.diskDriver ?? null) ?? '-',
};

const pool: Column<InstanceType> = { header: 'POOL', value: (item) => item.pool ?? '-' };

export const listTypes = defineCommand({
  meta: { path: 'types list', summary: 'List the instance types', section: 'Resources', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga types', explains: 'the sizes an instance can have' }],
  async run(context) {
    const { items } = await (await context.client()).listInstanceTypes();
    const shown = [
      ...columns,
      ...(items.some(({ hugePageKib }) => hugePageKib) ? [hugePages] : []),
      ...(items.some(cpuOf) ? [cpu] : []),
      ...(items.some((item) => item.diskDriver) ? [diskDriver] : []),
      ...(items.some((item) => item.pool) ? [pool] : []),
    ];
    await context.print.list(items, shown, (item) => item.name, 'There is no instance type.');
    return 0;
  },
});

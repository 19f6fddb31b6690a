import type { InstanceType } from '@virga/contract/rest/hosts';
import { defineCommand } from '../../command.ts';
import { formatMib } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

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

export const listTypes = defineCommand({
  meta: { path: 'types list', summary: 'List the instance types', section: 'Resources', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga types', explains: 'the sizes an instance can have' }],
  async run(context) {
    const { items } = await (await context.client()).listInstanceTypes();
    const shown = items.some(({ hugePageKib }) => hugePageKib) ? [...columns, hugePages] : columns;
    await context.print.list(items, shown, (item) => item.name, 'There is no instance type.');
    return 0;
  },
});

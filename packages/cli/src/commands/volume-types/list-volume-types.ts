import type { VolumeType } from '@virga/contract/rest/volume-types';
import { defineCommand } from '../../command.ts';
import type { Column } from '../../output/table.ts';
import { describeDiskLimits } from '../limit-options.ts';

const columns: Column<VolumeType>[] = [
  { header: 'NAME', value: (item) => item.name, essential: true },
  { header: 'POOL', value: (item) => item.pool ?? '-' },
  { header: 'LIMITS', value: (item) => describeDiskLimits(item.limits ?? null) ?? '-' },
  { header: 'FORMAT', value: (item) => item.format ?? '-', whole: true },
  { header: 'PREALLOCATION', value: (item) => item.preallocation ?? 'off', whole: true },
  { header: 'ENCRYPTED', value: (item) => (item.encrypted ? 'yes' : 'no'), whole: true },
];

export const listVolumeTypes = defineCommand({
  meta: { path: 'volume-types list', summary: 'List the volume types', section: 'Resources', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga volume-types', explains: 'the classes of volumes that there are' }],
  async run(context) {
    const { items } = await (await context.client()).listVolumeTypes();
    await context.print.list(items, columns, (item) => item.name, 'There is no volume type.');
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { diskLimitOptions, readDiskLimits } from '../limit-options.ts';
import { formatOption, preallocationOption } from '../volumes/volume-options.ts';

export const createVolumeType = defineCommand({
  meta: {
    path: 'volume-types create',
    summary: 'Create a volume type: where volumes of a class lie, and what they may do',
    details:
      'Limits hold wherever such a volume is attached, unless others are given there. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: {
    pool: { type: 'text', value: 'NAME', summary: 'name of the pools that they lie in', complete: 'pool' },
    ...diskLimitOptions,
    format: formatOption,
    preallocation: preallocationOption,
    encrypted: { type: 'flag', summary: 'each with a key of its own (LUKS)' },
  },
  examples: [
    {
      command: 'virga volume-types create gold --pool fast --iops 5000 --burst-iops 20000 --burst-seconds 60',
      explains: 'on fast disks, with bursts',
    },
    { command: 'virga volume-types create vault --encrypted', explains: 'unreadable without the cloud' },
  ],
  async run(context, { args: { name }, options }) {
    const { pool, format, preallocation, encrypted } = options;
    const limits = readDiskLimits(options);
    const body = {
      name,
      ...(pool !== undefined && { pool }),
      ...(Object.keys(limits).length > 0 && { limits }),
      ...(format !== undefined && { format }),
      ...(preallocation !== undefined && { preallocation }),
      ...(encrypted && { encrypted }),
    };
    const client = await context.client();
    const type = await idempotent((request) => client.createVolumeType({ body }, request));
    await context.print.result(type, [`volume type ${type.name}: created`], [type.name]);
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { findVolume } from '../../lookup.ts';
import { changeOne } from '../../operations/change-one.ts';
import { formatBytes } from '../../output/format.ts';
import { readSize } from '../../size.ts';
import { waitOption } from '../shared-options.ts';

export const resizeVolume = defineCommand({
  meta: {
    path: 'volumes resize',
    summary: 'Grow a volume, also while a guest that runs has it',
    details: 'The guest sees the larger disk at once; what is on it, it grows by itself: growpart, resize2fs.',
    section: 'Resources',
  },
  args: { volume: { summary: 'name or id', complete: 'volume' } },
  options: {
    size: { type: 'text', value: 'SIZE', summary: 'such as 40GiB; without a unit in GiB', required: true },
    wait: waitOption,
  },
  examples: [{ command: 'virga volumes resize data --size 40GiB --wait', explains: 'to 40 GiB' }],
  async run(context, { args, options: { size, wait } }) {
    const client = await context.client();
    const sizeGib = readSize('--size', size, 'GiB');
    const { id, name } = await findVolume(client, args.volume);
    return changeOne(context, 'volume', {
      ...{ name, wait, requested: 'growth requested' },
      request: () => client.resizeVolume({ params: { id }, body: { sizeGib } }),
      afterwards: () => client.getVolume({ params: { id } }),
      done: ({ sizeBytes }) => `has ${formatBytes(sizeBytes)}`,
    });
  },
});

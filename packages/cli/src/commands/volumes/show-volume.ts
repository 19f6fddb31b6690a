import { defineCommand } from '../../command.ts';
import { findVolume } from '../../lookup.ts';
import { volumeRows } from './volume-view.ts';

export const showVolume = defineCommand({
  meta: { path: 'volumes show', summary: 'Show a volume', section: 'Resources' },
  args: { volume: { summary: 'name or id', complete: 'volume' } },
  options: {},
  examples: [{ command: 'virga volumes show data', explains: 'its size, host and instance' }],
  async run(context, { args }) {
    const volume = await findVolume(await context.client(), args.volume);
    await context.print.record(volume, volumeRows(volume, context.nowMs()), volume.id);
    return 0;
  },
});

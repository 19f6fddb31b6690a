import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';
import { instanceRows } from './instance-view.ts';

export const show = defineCommand({
  meta: { path: 'show', summary: 'Show an instance', section: 'Instances' },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {},
  examples: [
    { command: 'virga show web', explains: 'everything about web' },
    { command: 'virga show web --output yaml', explains: 'the same as YAML' },
  ],
  async run(context, { args }) {
    const instance = await findInstance(await context.client(), args.instance);
    await context.print.record(instance, instanceRows(instance, context.nowMs()), instance.id);
    return 0;
  },
});

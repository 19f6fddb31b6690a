import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';
import { followConsoleLog, printConsoleLog } from '../streams/console-log.ts';
import { tailOption } from './shared-options.ts';

export const log = defineCommand({
  meta: {
    path: 'log',
    summary: 'Print what the serial console of an instance has printed',
    section: 'Consoles and guests',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    follow: { type: 'flag', summary: 'go on printing what comes' },
    tail: tailOption,
  },
  examples: [
    { command: 'virga log web', explains: 'why it does not boot' },
    { command: 'virga log web --follow', explains: 'watches it boot' },
  ],
  async run(context, { args, options }) {
    const instance = await findInstance(await context.client(), args.instance);
    return options.follow
      ? followConsoleLog(context, instance, options.tail)
      : printConsoleLog(context, instance, options.tail);
  },
});

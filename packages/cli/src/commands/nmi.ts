import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';

export const nmi = defineCommand({
  meta: {
    path: 'nmi',
    summary: 'Send a non-maskable interrupt to an instance that hangs',
    details: 'Most guests dump what they were doing, and many restart.',
    section: 'Consoles and guests',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {},
  examples: [{ command: 'virga nmi web', explains: 'a dump of a kernel that hangs; see virga log web' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    await client.injectNmi({ params: { id } });
    await context.print.result({ id, name }, [`${name} was interrupted.`], [id]);
    return 0;
  },
});

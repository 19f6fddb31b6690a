import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';

export const thawGuest = defineCommand({
  meta: {
    path: 'guest thaw',
    summary: 'Let the file systems of a guest take writes again',
    section: 'Consoles and guests',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {},
  examples: [{ command: 'virga guest thaw db', explains: 'before its time is over' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const thawed = await client.thawGuest({ params: { id } });
    await context.print.result(thawed, [`guest ${name}: goes on`], [id]);
    return 0;
  },
});

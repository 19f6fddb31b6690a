import { defineCommand } from '../../command.ts';
import { findPool } from '../../lookup.ts';
import { confirmDestruction } from '../../prompts.ts';
import { yesOption } from '../shared-options.ts';

export const deletePool = defineCommand({
  meta: {
    path: 'pools delete',
    summary: 'Delete a pool that nothing lies in; what it is made of stays',
    details: 'Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { pool: { summary: 'name or id', complete: 'pool' } },
  options: { yes: yesOption },
  examples: [{ command: 'virga pools delete fast', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name } = await findPool(client, args.pool);
    await confirmDestruction(context, `Delete pool ${name}?`, options.yes);
    await client.deletePool({ params: { id } });
    await context.print.result({ id, name, deleted: true }, [`pool ${name}: deletion requested`], [name]);
    return 0;
  },
});

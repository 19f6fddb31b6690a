import { defineCommand } from '../../command.ts';
import { findUser } from '../../lookup.ts';
import { confirmDestruction } from '../../prompts.ts';
import { yesOption } from '../shared-options.ts';

export const deleteUser = defineCommand({
  meta: {
    path: 'users delete',
    summary: 'Delete a user and every API key of the user',
    details: 'Needs the cloud role admin. What the user made stays in its projects.',
    section: 'Access',
  },
  args: { name: { summary: 'name or id', complete: 'user' } },
  options: { yes: yesOption },
  examples: [{ command: 'virga users delete ann', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const user = await findUser(client, args.name);
    await confirmDestruction(context, `Delete user ${user.name} with every API key?`, options.yes);
    await client.deleteUser({ params: { id: user.id } });
    await context.print.result({ ...user, deleted: true }, [`user ${user.name}: deleted`], [user.id]);
    return 0;
  },
});

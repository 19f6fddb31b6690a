import { defineCommand } from '../../command.ts';
import { findMemberOrUser } from '../../lookup.ts';

export const removeMember = defineCommand({
  meta: {
    path: 'members remove',
    summary: 'Take a user out of the project',
    details: 'Needs the project role admin. What the user made stays.',
    section: 'Access',
  },
  args: { user: { summary: 'name or id', complete: 'member' } },
  options: {},
  examples: [{ command: 'virga members remove ann', explains: 'ann may not work in the project any more' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findMemberOrUser(client, args.user);
    await client.removeMember({ params: { id } });
    await context.print.result({ userId: id, userName: name, removed: true }, [`member ${name}: removed`], [id]);
    return 0;
  },
});

import { type ProjectRole, projectRoles } from '@virga/contract/route';
import { defineCommand } from '../../command.ts';
import { findMemberOrUser } from '../../lookup.ts';

export const setMember = defineCommand({
  meta: {
    path: 'members set',
    summary: 'Give a user a role in the project',
    details:
      'viewer reads; operator launches and changes instances; admin also decides who is a member. Needs the project role ' +
      'admin. A user who is no member yet is named by id, unless you may list the users of the cloud.',
    section: 'Access',
  },
  args: {
    user: { summary: 'name or id', complete: 'user' },
    role: { summary: 'what the user may do', choices: projectRoles },
  },
  options: {},
  examples: [{ command: 'virga members set ann operator', explains: 'lets ann launch instances' }],
  async run(context, { args }) {
    const client = await context.client();
    const user = await findMemberOrUser(client, args.user);
    const body = { role: args.role as ProjectRole };
    const member = await client.setMember({ params: { id: user.id }, body });
    await context.print.result(member, [`member ${member.userName}: ${member.role}`], [member.userId]);
    return 0;
  },
});

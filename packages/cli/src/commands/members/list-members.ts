import type { Membership } from '@virga/contract/rest/identity';
import { defineCommand } from '../../command.ts';
import type { Column } from '../../output/table.ts';

const columns: Column<Membership>[] = [
  { header: 'USER', value: (item) => item.userName, essential: true },
  { header: 'ID', value: (item) => item.userId, essential: true },
  { header: 'ROLE', value: (item) => item.role, whole: true },
];

export const listMembers = defineCommand({
  meta: { path: 'members list', summary: 'List who may work in the project', section: 'Access', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga members --project shop', explains: 'users and their roles' }],
  async run(context) {
    const { items } = await (await context.client()).listMembers();
    const none = 'The project has no member. Add one with virga members set USER ROLE.';
    await context.print.list(items, columns, (item) => item.userId, none);
    return 0;
  },
});

import type { User } from '@virga/contract/rest/identity';
import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { formatAge } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

export const listUsers = defineCommand({
  meta: {
    path: 'users list',
    summary: 'List the users of the cloud',
    details: 'Needs the cloud role viewer.',
    section: 'Access',
    groupDefault: true,
  },
  args: {},
  options: {},
  examples: [{ command: 'virga users', explains: 'who there is' }],
  async run(context) {
    const client = await context.client();
    const items = await listAll((query) => client.listUsers({ query }));
    const columns: Column<User>[] = [
      { header: 'NAME', value: (item) => item.name, essential: true },
      { header: 'ID', value: (item) => item.id, essential: true },
      { header: 'CLOUD ROLE', value: (item) => item.cloudRole, whole: true },
      { header: 'AGE', value: (item) => formatAge(item.createdAt, context.nowMs()), whole: true },
    ];
    await context.print.list(
      items,
      columns,
      (item) => item.id,
      'There is no user. Make one with virga users create NAME.',
    );
    return 0;
  },
});

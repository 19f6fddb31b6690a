import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { networkColumns } from './network-view.ts';

export const listNetworks = defineCommand({
  meta: {
    path: 'networks list',
    summary: 'List the networks of the project and the public ones',
    section: 'Resources',
    groupDefault: true,
  },
  args: {},
  options: {},
  examples: [{ command: 'virga networks', explains: 'networks, and how many addresses are left' }],
  async run(context) {
    const client = await context.client();
    const items = await listAll((query) => client.listNetworks({ query }));
    const columns = networkColumns(items, context.nowMs());
    await context.print.list(
      items,
      columns,
      (item) => item.id,
      'There is no network. Add one with virga networks create.',
    );
    return 0;
  },
});

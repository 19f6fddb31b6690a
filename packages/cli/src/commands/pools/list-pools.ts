import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { poolColumns } from './pool-view.ts';

export const listPools = defineCommand({
  meta: { path: 'pools list', summary: 'List storage pools', section: 'Resources', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga pools', explains: 'where volumes can lie, and how much room there is' }],
  async run(context) {
    const client = await context.client();
    const items = await listAll((query) => client.listPools({ query }));
    await context.print.list(items, poolColumns(items), (item) => item.id, 'There is no pool.');
    return 0;
  },
});

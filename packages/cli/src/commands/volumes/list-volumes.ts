import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { volumeColumns } from './volume-view.ts';

export const listVolumes = defineCommand({
  meta: { path: 'volumes list', summary: 'List volumes', section: 'Resources', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga volumes', explains: 'volumes, and which instances have them' }],
  async run(context) {
    const client = await context.client();
    const items = await listAll((query) => client.listVolumes({ query }));
    const none = 'There is no volume. Create one with virga volumes create.';
    await context.print.list(items, volumeColumns(items, context.nowMs()), (item) => item.id, none);
    return 0;
  },
});

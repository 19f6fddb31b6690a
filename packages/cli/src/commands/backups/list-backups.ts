import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { backupColumns } from './backup-view.ts';

export const listBackups = defineCommand({
  meta: { path: 'backups list', summary: 'List backups', section: 'Resources', groupDefault: true },
  args: {},
  options: {
    instance: { type: 'text', value: 'INSTANCE', summary: 'name or id that it has or had', complete: 'instance' },
  },
  examples: [{ command: 'virga backups list --instance web', explains: 'of one instance, the youngest first' }],
  async run(context, { options: { instance } }) {
    const client = await context.client();
    const items = await listAll((query) => client.listBackups({ query: { ...query, ...(instance && { instance }) } }));
    const none = 'There is no backup. Make one with virga backups create.';
    await context.print.list(items, backupColumns(context.nowMs()), (item) => item.id, none);
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { backupStoreColumns } from './backup-store-view.ts';

export const listBackupStores = defineCommand({
  meta: { path: 'backup-stores list', summary: 'List backup stores', section: 'Resources', groupDefault: true },
  args: {},
  options: {},
  examples: [{ command: 'virga backup-stores', explains: 'where backups are kept, and how much they take' }],
  async run(context) {
    const client = await context.client();
    const items = await listAll((query) => client.listBackupStores({ query }));
    const none = 'There is no backup store. Make one with virga backup-stores create.';
    await context.print.list(items, backupStoreColumns(items), (item) => item.id, none);
    return 0;
  },
});

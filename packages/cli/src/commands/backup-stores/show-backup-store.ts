import { defineCommand } from '../../command.ts';
import { findBackupStore } from '../../lookup.ts';
import { backupStoreRows } from './backup-store-view.ts';

export const showBackupStore = defineCommand({
  meta: { path: 'backup-stores show', summary: 'Show a backup store', section: 'Resources' },
  args: { store: { summary: 'name or id' } },
  options: {},
  examples: [{ command: 'virga backup-stores show main', explains: 'its place, and when it was checked' }],
  async run(context, { args }) {
    const store = await findBackupStore(await context.client(), args.store);
    await context.print.record(store, backupStoreRows(store, context.nowMs()), store.id);
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { findBackup } from '../../lookup.ts';
import { backupRows } from './backup-view.ts';

export const showBackup = defineCommand({
  meta: { path: 'backups show', summary: 'Show a backup', section: 'Resources' },
  args: { backup: { summary: 'its id' } },
  options: {},
  examples: [{ command: 'virga backups show bak-0123456789abcdef0', explains: 'what is in it, and how it was tested' }],
  async run(context, { args }) {
    const backup = await findBackup(await context.client(), args.backup);
    await context.print.record(backup, backupRows(backup, context.nowMs()), backup.id);
    return 0;
  },
});

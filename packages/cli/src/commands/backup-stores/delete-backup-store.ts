import { defineCommand } from '../../command.ts';
import { findBackupStore } from '../../lookup.ts';
import { confirmDestruction } from '../../prompts.ts';
import { yesOption } from '../shared-options.ts';

export const deleteBackupStore = defineCommand({
  meta: {
    path: 'backup-stores delete',
    summary: 'Forget a backup store that has no backups; what is at its place stays',
    details: 'Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { store: { summary: 'name or id' } },
  options: { yes: yesOption },
  examples: [{ command: 'virga backup-stores delete main', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name } = await findBackupStore(client, args.store);
    await confirmDestruction(context, `Forget backup store ${name} and its password?`, options.yes);
    await client.deleteBackupStore({ params: { id } });
    await context.print.result({ id, name, deleted: true }, [`backup store ${name}: forgotten`], [name]);
    return 0;
  },
});

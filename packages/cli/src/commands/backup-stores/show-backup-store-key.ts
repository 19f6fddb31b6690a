import { defineCommand } from '../../command.ts';
import { findBackupStore } from '../../lookup.ts';

export const showBackupStoreKey = defineCommand({
  meta: {
    path: 'backup-stores key',
    summary: 'Show the password of a backup store',
    details:
      'Keep it where this cloud is not: with it, restic reads the store without Virga; without it, nobody does. That it was ' +
      'shown is written down. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { store: { summary: 'name or id' } },
  options: {},
  examples: [{ command: 'virga backup-stores key main > main.key', explains: 'to be kept elsewhere' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id } = await findBackupStore(client, args.store);
    const key = await client.getBackupStoreKey({ params: { id } });
    await context.print.result(key, [key.password], [key.password]);
    return 0;
  },
});

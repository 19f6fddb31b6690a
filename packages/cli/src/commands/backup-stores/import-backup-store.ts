import { defineCommand } from '../../command.ts';
import { findBackupStore } from '../../lookup.ts';
import { changeOne } from '../../operations/change-one.ts';
import { waitOption } from '../shared-options.ts';

export const importBackupStore = defineCommand({
  meta: {
    path: 'backup-stores import',
    summary: 'Look for backups in a store that this cloud does not know',
    details:
      'Such as those that another cloud has put there since the store was opened. They are listed then, and can be restored, as ' +
      'those of this cloud can. One whose project is not here comes into yours. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { store: { summary: 'name or id' } },
  options: { wait: waitOption },
  examples: [{ command: 'virga backup-stores import main --wait', explains: 'then: virga backups list' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name } = await findBackupStore(client, args.store);
    return changeOne(context, 'store', {
      ...{ name, wait: options.wait, requested: 'import requested' },
      request: () => client.importBackupStore({ params: { id } }),
      afterwards: () => client.getBackupStore({ params: { id } }),
      done: ({ backups }) => `${backups} backups are in it`,
    });
  },
});

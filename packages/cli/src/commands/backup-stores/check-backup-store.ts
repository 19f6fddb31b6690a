import { defineCommand } from '../../command.ts';
import { findBackupStore } from '../../lookup.ts';
import { changeOne } from '../../operations/change-one.ts';
import { waitOption } from '../shared-options.ts';

export const checkBackupStore = defineCommand({
  meta: {
    path: 'backup-stores check',
    summary: 'Check a backup store, and remove what belongs to no backup',
    details: 'All of its structure, and a share of its data, chosen at random. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { store: { summary: 'name or id' } },
  options: {
    read: {
      type: 'integer',
      value: 'PERCENT',
      summary: 'how much of the data is read and compared',
      minimum: 0,
      maximum: 100,
      default: 10,
    },
    wait: waitOption,
  },
  examples: [{ command: 'virga backup-stores check main --read 100 --wait', explains: 'all of it' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name } = await findBackupStore(client, args.store);
    return changeOne(context, 'store', {
      ...{ name, wait: options.wait, requested: 'check requested' },
      request: () => client.checkBackupStore({ params: { id }, body: { readPercent: options.read } }),
      afterwards: () => client.getBackupStore({ params: { id } }),
      done: ({ state }) => state,
    });
  },
});

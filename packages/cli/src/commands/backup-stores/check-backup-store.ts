import type { BackupStore } from '@virga/contract/rest/backup-stores';
import { defineCommand } from '../../command.ts';
import { findBackupStore } from '../../lookup.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';
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
    const change = {
      name,
      request: async () => {
        const answer = await client.checkBackupStore({ params: { id }, body: { readPercent: options.read } });
        return { operationId: answer.operationId, resource: answer.store };
      },
      afterwards: () => client.getBackupStore({ params: { id } }),
      done: ({ state }: BackupStore) => state,
    };
    const outcomes = await makeChanges(context, [change], options.wait);
    const words = { noun: 'store', requested: 'check requested', done: change.done };
    return reportChanges(context, outcomes, words, { waited: options.wait, many: false });
  },
});

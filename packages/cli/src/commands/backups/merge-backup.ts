import { defineCommand } from '../../command.ts';
import { findBackup } from '../../lookup.ts';
import { waitOption } from '../shared-options.ts';
import { changeBackup } from './change-backup.ts';

export const mergeBackup = defineCommand({
  meta: {
    path: 'backups merge',
    summary: 'Make a backup stand alone, so that those it rests on can be deleted',
    details: 'It is put together in the store, without the instance; equal data is kept once all the same.',
    section: 'Resources',
  },
  args: { backup: { summary: 'its id' } },
  options: { wait: waitOption },
  examples: [{ command: 'virga backups merge bak-0123456789abcdef0 --wait', explains: 'a full one from then on' }],
  async run(context, { args, options: { wait } }) {
    const { id } = await findBackup(await context.client(), args.backup);
    return changeBackup(context, id, {
      ...{ requested: 'merge requested', done: () => 'stands alone', wait, stays: true },
      call: (client) => client.mergeBackup({ params: { id } }),
    });
  },
});

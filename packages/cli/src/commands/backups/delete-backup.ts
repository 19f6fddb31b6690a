import { defineCommand } from '../../command.ts';
import { findBackup } from '../../lookup.ts';
import { confirmDestruction } from '../../prompts.ts';
import { waitOption, yesOption } from '../shared-options.ts';
import { changeBackup } from './change-backup.ts';

export const deleteBackup = defineCommand({
  meta: {
    path: 'backups delete',
    summary: 'Delete a backup that no other rests on, or give up one that is being made',
    section: 'Resources',
  },
  args: { backup: { summary: 'its id' } },
  options: { yes: yesOption, wait: waitOption },
  examples: [{ command: 'virga backups delete bak-0123456789abcdef0', explains: 'asks first' }],
  async run(context, { args, options: { yes, wait } }) {
    const { id, instanceName } = await findBackup(await context.client(), args.backup);
    await confirmDestruction(context, `Delete the backup ${id} of ${instanceName}?`, yes);
    return changeBackup(context, id, {
      ...{ requested: 'deletion requested', done: () => 'deleted', wait, stays: false },
      call: (client) => client.deleteBackup({ params: { id } }),
    });
  },
});

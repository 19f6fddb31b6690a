import { defineCommand } from '../../command.ts';
import { idempotent } from '../../idempotent.ts';
import { findInstance } from '../../lookup.ts';
import { waitOption } from '../shared-options.ts';
import { changeBackup } from './change-backup.ts';

export const createBackup = defineCommand({
  meta: {
    path: 'backups create',
    summary: 'Back an instance up, which goes on meanwhile',
    details:
      'All of its disks at one moment, but for scratch volumes. What has changed since its last backup in the store is read and ' +
      'kept; all of it where that is not known.',
    section: 'Resources',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    store: { type: 'text', value: 'STORE', summary: 'the backup store; default the only one' },
    full: { type: 'flag', summary: 'all of it, whatever is known' },
    noFreeze: { type: 'flag', summary: 'do not freeze file systems through the guest agent for the moment' },
    wait: waitOption,
  },
  examples: [{ command: 'virga backups create web --wait', explains: 'waits until it is in the store' }],
  async run(context, { args, options }) {
    const { store, full, noFreeze, wait } = options;
    const { id, name } = await findInstance(await context.client(), args.instance);
    const body = { instance: id, ...(store && { store }), ...(full && { full }), ...(noFreeze && { freeze: false }) };
    return changeBackup(context, name, {
      requested: 'backup requested',
      done: ({ id: backup, fullReason }) => `${backup} ${fullReason === null ? 'incremental' : 'full'}`,
      ...{ wait, stays: true },
      call: (client) => idempotent((request) => client.createBackup({ body }, request)),
    });
  },
});

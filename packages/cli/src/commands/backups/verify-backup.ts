import { defineCommand } from '../../command.ts';
import { findBackup } from '../../lookup.ts';
import { waitOption } from '../shared-options.ts';
import { changeBackup } from './change-backup.ts';

export const verifyBackup = defineCommand({
  meta: {
    path: 'backups verify',
    summary: 'Test a backup: read all of it back, and boot a machine of it',
    details:
      'The machine has no network card and belongs to no project. It has booted when its guest agent answers, or when it ' +
      'prints what is expected on its serial console; then it is removed.',
    section: 'Resources',
  },
  args: { backup: { summary: 'its id' } },
  options: {
    noBoot: { type: 'flag', summary: 'only read it back' },
    expect: { type: 'text', value: 'TEXT', summary: 'what a machine without an agent prints; default login:' },
    timeout: {
      type: 'integer',
      value: 'SECONDS',
      summary: 'how long the machine may take to boot',
      minimum: 1,
      maximum: 3600,
      default: 600,
    },
    wait: waitOption,
  },
  examples: [
    { command: 'virga backups verify bak-0123456789abcdef0 --wait', explains: 'whether it would save the day' },
  ],
  async run(context, { args, options: { noBoot, expect, timeout, wait } }) {
    const { id } = await findBackup(await context.client(), args.backup);
    const body = { boot: !noBoot, timeoutSeconds: timeout, ...(expect !== undefined && { expect }) };
    return changeBackup(context, id, {
      requested: 'test requested',
      done: ({ verified }) => verified?.outcome ?? 'tested',
      ...{ wait, stays: true },
      call: (client) => client.verifyBackup({ params: { id }, body }),
    });
  },
});

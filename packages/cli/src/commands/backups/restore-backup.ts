import { defineCommand } from '../../command.ts';
import { findBackup } from '../../lookup.ts';
import { confirmDestruction } from '../../prompts.ts';
import { waitOption } from '../shared-options.ts';
import { changeBackup } from './change-backup.ts';

export const restoreBackup = defineCommand({
  meta: {
    path: 'backups restore',
    summary: 'Make a new instance of a backup, or give the instance its disks back',
    details:
      'A new instance has an identity, an empty TPM and addresses of its own, on the network that the old one was on. In place, the ' +
      'instance must be off; the disks that it has now are kept until those of the backup are there, and then removed; its UEFI ' +
      'variables and its TPM are what they were.',
    section: 'Resources',
  },
  args: { backup: { summary: 'its id' } },
  options: {
    name: { type: 'text', value: 'NAME', summary: 'of the new instance; default the one that it had' },
    inPlace: { type: 'flag', summary: 'replace the disks of the instance' },
    network: { type: 'text', value: 'NETWORK', summary: 'default the one that it had', complete: 'network' },
    pool: {
      type: 'text',
      value: 'POOL',
      summary: 'where its disks are to lie; default the storage of the host',
      complete: 'pool',
    },
    type: { type: 'text', value: 'TYPE', summary: 'default the one that it had', complete: 'type' },
    yes: { type: 'flag', summary: 'do not ask before disks are replaced' },
    wait: waitOption,
  },
  examples: [
    { command: 'virga backups restore bak-0123456789abcdef0 --name web-again --wait', explains: 'beside the old one' },
    { command: 'virga backups restore bak-0123456789abcdef0 --in-place', explains: 'asks first' },
  ],
  async run(context, { args, options: { name, inPlace, network, pool, type, yes, wait } }) {
    const { id, instanceName } = await findBackup(await context.client(), args.backup);
    if (inPlace) {
      await confirmDestruction(context, `Replace the disks of ${instanceName} by those of ${id}?`, yes);
    }
    const body = {
      ...(inPlace && { inPlace }),
      ...(name !== undefined && { name }),
      ...(network !== undefined && { network }),
      ...(pool !== undefined && { pool }),
      ...(type !== undefined && { type }),
    };
    const done = () => (inPlace ? `the disks of ${instanceName} are restored` : `${name ?? instanceName} is restored`);
    return changeBackup(context, id, {
      ...{ requested: 'restore requested', done, wait, stays: true },
      call: (client) => client.restoreBackup({ params: { id }, body }),
    });
  },
});

import { defineCommand } from '../../command.ts';
import { findVolume } from '../../lookup.ts';
import { deleteNamed } from '../delete-named.ts';
import { waitOption, yesOption } from '../shared-options.ts';

export const deleteVolume = defineCommand({
  meta: {
    path: 'volumes delete',
    summary: 'Delete volumes that no instance has, with all that is in them',
    details:
      'With --wipe what a volume has written is overwritten with zeroes first, in place, and its blocks are given back. A file ' +
      'system that writes elsewhere, such as Btrfs, a disk that does, such as an SSD, and snapshots and copies keep what they ' +
      'keep: encrypt what must be unreadable for certain.',
    section: 'Resources',
  },
  args: { volumes: { summary: 'names or ids', variadic: true, complete: 'volume' } },
  options: {
    wipe: { type: 'flag', summary: 'overwrite what was written to them with zeroes before they are removed' },
    yes: yesOption,
    wait: waitOption,
  },
  examples: [
    { command: 'virga volumes delete data', explains: 'asks first' },
    { command: 'virga volumes delete data --wipe --yes --wait', explains: 'overwritten before' },
  ],
  run: (context, { args, options }) =>
    deleteNamed(context, 'volume', args.volumes, options, {
      find: findVolume,
      question: (names) => `Delete volume ${names} with all that is in it?`,
      call: (client, id) => client.deleteVolume({ params: { id }, query: options.wipe ? { wipe: true } : {} }),
    }),
});

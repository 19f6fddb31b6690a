import { defineCommand } from '../../command.ts';
import { findSnapshot } from '../../lookup.ts';
import { deleteNamed } from '../delete-named.ts';
import { waitOption, yesOption } from '../shared-options.ts';

export const deleteSnapshot = defineCommand({
  meta: {
    path: 'snapshots delete',
    summary: 'Delete snapshots, and merge what only they needed, also while the instance runs',
    details: 'The instance keeps what it has. What clones rest on stays until the last of them is gone.',
    section: 'Resources',
  },
  args: { snapshots: { summary: 'names or ids', variadic: true, complete: 'snapshot' } },
  options: { yes: yesOption, wait: waitOption },
  examples: [{ command: 'virga snapshots delete before-upgrade', explains: 'asks first' }],
  run: (context, { args, options }) =>
    deleteNamed(context, 'snapshot', args.snapshots, options, {
      find: findSnapshot,
      question: (names) => `Delete snapshot ${names}, so that nothing can be put back to it?`,
      call: (client, id) => client.deleteSnapshot({ params: { id } }),
    }),
});

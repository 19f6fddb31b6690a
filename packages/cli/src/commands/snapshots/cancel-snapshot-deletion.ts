import { defineCommand } from '../../command.ts';
import { findSnapshot } from '../../lookup.ts';
import { changeOne } from '../../operations/change-one.ts';

export const cancelSnapshotDeletion = defineCommand({
  meta: {
    path: 'snapshots cancel-deletion',
    summary: 'Cancel the deletion of a snapshot',
    details:
      'Before its merging has begun the snapshot stays as it was. After that it goes all the same, at once: what it kept has been ' +
      'written over. Then the disk stays in more files, which the next deletion merges.',
    section: 'Resources',
  },
  args: { snapshot: { summary: 'name or id', complete: 'snapshot' } },
  options: {},
  examples: [
    { command: 'virga snapshots cancel-deletion before-upgrade', explains: 'the disk is no longer kept busy' },
  ],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findSnapshot(client, args.snapshot);
    return changeOne(context, 'snapshot', {
      ...{ name, wait: false, requested: 'deletion cancelled' },
      request: () => client.cancelSnapshotDeletion({ params: { id } }),
      done: () => 'deletion cancelled',
    });
  },
});

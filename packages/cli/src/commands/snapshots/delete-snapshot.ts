import { defineCommand } from '../../command.ts';
import { eachBounded } from '../../each-bounded.ts';
import { findSnapshot } from '../../lookup.ts';
import { makeChanges } from '../../operations/make-changes.ts';
import { reportChanges } from '../../operations/report-changes.ts';
import { confirmDestruction } from '../../prompts.ts';
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
  async run(context, { args, options }) {
    const client = await context.client();
    const snapshots = await eachBounded([...new Set(args.snapshots)], 8, (name) => findSnapshot(client, name));
    const names = snapshots.map(({ name }) => name).join(', ');
    await confirmDestruction(context, `Delete snapshot ${names}, so that nothing can be put back to it?`, options.yes);
    const changes = snapshots.map(({ id, name }) => ({
      name,
      request: async () => {
        const answer = await client.deleteSnapshot({ params: { id } });
        return { operationId: answer.operationId, resource: answer.snapshot };
      },
      done: () => 'deleted',
    }));
    const outcomes = await makeChanges(context, changes, options.wait);
    const words = { noun: 'snapshot', requested: 'deletion requested', done: () => 'deleted' };
    return reportChanges(context, outcomes, words, { waited: options.wait, many: true });
  },
});

import { defineCommand } from '../../command.ts';
import { findSnapshot } from '../../lookup.ts';
import { snapshotRows } from './snapshot-view.ts';

export const showSnapshot = defineCommand({
  meta: { path: 'snapshots show', summary: 'Show a snapshot', section: 'Resources' },
  args: { snapshot: { summary: 'name or id', complete: 'snapshot' } },
  options: {},
  examples: [{ command: 'virga snapshots show before-upgrade', explains: 'what it keeps' }],
  async run(context, { args }) {
    const snapshot = await findSnapshot(await context.client(), args.snapshot);
    await context.print.record(snapshot, snapshotRows(snapshot, context.nowMs()), snapshot.id);
    return 0;
  },
});

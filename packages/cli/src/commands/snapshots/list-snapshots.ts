import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { findInstance } from '../../lookup.ts';
import { snapshotColumns } from './snapshot-view.ts';

export const listSnapshots = defineCommand({
  meta: { path: 'snapshots list', summary: 'List snapshots', section: 'Resources', groupDefault: true },
  args: {},
  options: {
    instance: { type: 'text', value: 'INSTANCE', summary: 'only those of this instance', complete: 'instance' },
  },
  examples: [{ command: 'virga snapshots list --instance web', explains: 'what web can be put back to' }],
  async run(context, { options }) {
    const client = await context.client();
    const of = options.instance === undefined ? {} : { instanceId: (await findInstance(client, options.instance)).id };
    const items = await listAll((query) => client.listSnapshots({ query: { ...query, ...of } }));
    const none = 'There is no snapshot. Take one with virga snapshots create.';
    await context.print.list(items, snapshotColumns(items, context.nowMs()), (item) => item.id, none);
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { findSnapshot } from '../../lookup.ts';

export const protectSnapshot = defineCommand({
  meta: {
    path: 'snapshots protect',
    summary: 'Protect a snapshot from schedules and from the deletion of its instance',
    section: 'Resources',
  },
  args: { snapshot: { summary: 'name or id', complete: 'snapshot' } },
  options: { off: { type: 'flag', summary: 'no longer' } },
  examples: [{ command: 'virga snapshots protect before-upgrade', explains: 'it stays' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id } = await findSnapshot(client, args.snapshot);
    const snapshot = await client.protectSnapshot({ params: { id }, body: { protected: !options.off } });
    const line = `snapshot ${snapshot.name}: ${snapshot.protected ? 'protected' : 'no longer protected'}`;
    await context.print.result(snapshot, [line], [snapshot.id]);
    return 0;
  },
});

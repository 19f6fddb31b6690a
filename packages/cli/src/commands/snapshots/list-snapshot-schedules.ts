import type { SnapshotSchedule } from '@virga/contract/rest/snapshots';
import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { findInstance } from '../../lookup.ts';
import type { Column } from '../../output/table.ts';
import { formatNextRun } from '../by-the-clock.ts';

export const listSnapshotSchedules = defineCommand({
  meta: {
    path: 'snapshots schedules',
    summary: 'List the schedules that take snapshots of an instance',
    section: 'Resources',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {},
  examples: [{ command: 'virga snapshots schedules web', explains: 'with when each takes the next' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const items = await listAll((query) => client.listSnapshotSchedules({ params: { id }, query }));
    const columns: Column<SnapshotSchedule>[] = [
      { header: 'ID', value: (item) => item.id, essential: true },
      { header: 'CRON', value: (item) => item.cron, whole: true },
      { header: 'TIME ZONE', value: (item) => item.timeZone },
      { header: 'KEEP', value: (item) => String(item.keep), whole: true },
      { header: 'MEMORY', value: (item) => (item.memory ? 'yes' : '-'), whole: true },
      { header: 'NEXT', value: (item) => formatNextRun(item, context.nowMs()) },
      { header: 'BY', value: (item) => item.createdBy },
    ];
    const none = `${name} has no schedule of snapshots. Make one with virga snapshots schedule.`;
    await context.print.list(items, columns, (item) => item.id, none);
    return 0;
  },
});

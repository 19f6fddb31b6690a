import type { Schedule } from '@virga/contract/rest/instance-schedules';
import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { findInstance } from '../../lookup.ts';
import type { Column } from '../../output/table.ts';
import { formatNextRun } from '../by-the-clock.ts';

export const listSchedules = defineCommand({
  meta: { path: 'schedule list', summary: 'List the schedules of an instance', section: 'Instances' },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {},
  examples: [{ command: 'virga schedule list web', explains: 'with when each runs next' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const items = await listAll((query) => client.listSchedules({ params: { id }, query }));
    const columns: Column<Schedule>[] = [
      { header: 'ID', value: (item) => item.id, essential: true },
      { header: 'ACTION', value: (item) => item.action, whole: true },
      { header: 'CRON', value: (item) => item.cron, whole: true },
      { header: 'TIME ZONE', value: (item) => item.timeZone },
      { header: 'NEXT', value: (item) => formatNextRun(item, context.nowMs()) },
      { header: 'BY', value: (item) => item.createdBy },
    ];
    const none = `${name} has no schedule. Make one with virga schedule add.`;
    await context.print.list(items, columns, (item) => item.id, none);
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { scheduleColumns } from './backup-view.ts';

export const listBackupSchedules = defineCommand({
  meta: { path: 'backups schedules', summary: 'List the schedules that make backups', section: 'Resources' },
  args: {},
  options: { instance: { type: 'text', value: 'INSTANCE', summary: 'name or id', complete: 'instance' } },
  examples: [{ command: 'virga backups schedules', explains: 'with when each runs next' }],
  async run(context, { options: { instance } }) {
    const client = await context.client();
    const items = await listAll((query) =>
      client.listBackupSchedules({ query: { ...query, ...(instance && { instance }) } }),
    );
    const none = 'There is no backup schedule. Make one with virga backups schedule.';
    await context.print.list(items, scheduleColumns(context.nowMs()), (item) => item.id, none);
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { readScheduleId } from '../by-the-clock.ts';

export const unscheduleBackups = defineCommand({
  meta: {
    path: 'backups unschedule',
    summary: 'Delete a schedule that makes backups; the backups stay',
    section: 'Resources',
  },
  args: { schedule: { summary: 'its id, as virga backups schedules shows it' } },
  options: {},
  examples: [{ command: 'virga backups unschedule sched-0123456789abcdef0', explains: 'no longer by the clock' }],
  async run(context, { args }) {
    const schedule = readScheduleId(args.schedule, 'virga backups schedules');
    const client = await context.client();
    await client.deleteBackupSchedule({ params: { id: schedule } });
    await context.print.result({ id: schedule, removed: true }, [`schedule ${schedule}: removed`], [schedule]);
    return 0;
  },
});

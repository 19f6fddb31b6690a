import { VirgaError } from '@virga/contract/errors';
import { isId } from '@virga/contract/ids';
import { defineCommand } from '../../command.ts';

export const unscheduleBackups = defineCommand({
  meta: {
    path: 'backups unschedule',
    summary: 'Delete a schedule that makes backups; the backups stay',
    section: 'Resources',
  },
  args: { schedule: { summary: 'its id, as virga backups schedules shows it' } },
  options: {},
  examples: [{ command: 'virga backups unschedule sched-0123456789abcdef0', explains: 'no longer by the clock' }],
  async run(context, { args: { schedule } }) {
    if (!isId('schedule', schedule)) {
      throw new VirgaError('NotFound', {
        detail: `${schedule} is not the id of a schedule.`,
        action: 'virga backups schedules shows what there is.',
      });
    }
    const client = await context.client();
    await client.deleteBackupSchedule({ params: { id: schedule } });
    await context.print.result({ id: schedule, removed: true }, [`schedule ${schedule}: removed`], [schedule]);
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';
import { readScheduleId } from '../by-the-clock.ts';

export const unscheduleSnapshots = defineCommand({
  meta: {
    path: 'snapshots unschedule',
    summary: 'Take no more snapshots of an instance by a schedule; those that there are stay',
    section: 'Resources',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    schedule: { summary: 'its id, as virga snapshots schedules shows it' },
  },
  options: {},
  examples: [{ command: 'virga snapshots unschedule web sched-0123456789abcdef0', explains: 'no longer by the clock' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const schedule = readScheduleId(args.schedule, `virga snapshots schedules ${name}`);
    await client.deleteSnapshotSchedule({ params: { id, scheduleId: schedule } });
    await context.print.result({ id: schedule, removed: true }, [`schedule ${schedule}: removed`], [schedule]);
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';
import { readScheduleId } from '../by-the-clock.ts';

export const removeSchedule = defineCommand({
  meta: { path: 'schedule remove', summary: 'Take a schedule from an instance', section: 'Instances' },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    schedule: { summary: 'its id, as virga schedule list shows it' },
  },
  options: {},
  examples: [{ command: 'virga schedule remove web sched-0123456789abcdef0', explains: 'no longer by the clock' }],
  async run(context, { args }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const schedule = readScheduleId(args.schedule, `virga schedule list ${name}`);
    await client.deleteSchedule({ params: { id, scheduleId: schedule } });
    await context.print.result({ id: schedule, removed: true }, [`schedule ${schedule}: removed`], [schedule]);
    return 0;
  },
});

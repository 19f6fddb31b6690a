import { ScheduledAction } from '@virga/contract/rest/instance-schedules';
import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';
import { formatNextRun, timeZoneHere } from '../by-the-clock.ts';

const actions = ScheduledAction.anyOf.map((action) => action.const);

export const addSchedule = defineCommand({
  meta: {
    path: 'schedule add',
    summary: 'Start, stop, suspend, resume, hibernate or reboot an instance by the clock',
    details:
      'CRON is minute, hour, day of the month, month and day of the week, in the time zone of this machine unless another ' +
      'is named. It runs with the rights that you have then. What was missed while no server ran is made up for within an hour.',
    section: 'Instances',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    action: { summary: 'what to do', choices: actions },
    cron: { summary: 'when, as one word in quotes' },
  },
  options: {
    timeZone: { type: 'text', value: 'ZONE', summary: 'IANA time zone of the times, such as Europe/Berlin' },
  },
  examples: [
    { command: "virga schedule add web start '0 8 * * mon-fri'", explains: 'at eight on working days' },
    { command: "virga schedule add web stop '@daily' --time-zone UTC", explains: 'every midnight, UTC' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const timeZone = options.timeZone ?? timeZoneHere();
    const body = { action: args.action as ScheduledAction, cron: args.cron, timeZone };
    const schedule = await client.createSchedule({ params: { id }, body });
    const next = formatNextRun(schedule, context.nowMs());
    await context.print.result(schedule, [`instance ${name}: ${schedule.action} next at ${next}`], [schedule.id]);
    return 0;
  },
});

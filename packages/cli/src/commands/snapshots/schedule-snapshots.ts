import { maxKept } from '@virga/contract/rest/snapshots';
import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';
import { formatNextRun, timeZoneHere } from '../by-the-clock.ts';

export const scheduleSnapshots = defineCommand({
  meta: {
    path: 'snapshots schedule',
    summary: 'Take snapshots of an instance by the clock, and keep only the latest',
    details:
      'CRON is minute, hour, day of the month, month and day of the week, in the time zone of this machine unless another ' +
      'is named. It runs with the rights that you have then. Protected snapshots are not counted, and stay.',
    section: 'Resources',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    cron: { type: 'text', value: 'CRON', summary: 'when, as one word in quotes', required: true },
    keep: { type: 'integer', value: 'N', minimum: 1, maximum: maxKept, summary: 'so many stay', required: true },
    memory: { type: 'flag', summary: 'keep the memory of the guest too' },
    timeZone: { type: 'text', value: 'ZONE', summary: 'IANA time zone of the times, such as Europe/Berlin' },
  },
  examples: [
    { command: "virga snapshots schedule web --cron '0 * * * *' --keep 24", explains: 'every hour, for a day' },
  ],
  async run(context, { args, options: { cron, keep, memory, ...options } }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const timeZone = options.timeZone ?? timeZoneHere();
    const body = { cron, keep, timeZone, ...(memory ? { memory } : {}) };
    const schedule = await client.createSnapshotSchedule({ params: { id }, body });
    const next = formatNextRun(schedule, context.nowMs());
    const line = `instance ${name}: the next snapshot at ${next}, ${schedule.keep} are kept`;
    await context.print.result(schedule, [line], [schedule.id]);
    return 0;
  },
});

import type { Retention } from '@virga/contract/rest/backups';
import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';
import { formatNextRun, timeZoneHere } from '../by-the-clock.ts';
import { describeRetention } from './backup-view.ts';

const keep = (what: string) =>
  ({ type: 'integer', value: 'N', summary: `keep ${what}`, minimum: 0, maximum: 1000 }) as const;

export const scheduleBackups = defineCommand({
  meta: {
    path: 'backups schedule',
    summary: 'Back an instance up by the clock, and delete what need not be kept',
    details:
      'Without any --keep option, 7 last, 7 daily, 4 weekly and 6 monthly ones are kept. What others rest on is kept with them; ' +
      'when more than --chain rest on each other, the youngest is put together in the store and the chain begins anew.',
    section: 'Resources',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    cron: { type: 'text', value: 'CRON', summary: "when, such as '0 3 * * *'", required: true },
    timeZone: { type: 'text', value: 'ZONE', summary: 'IANA time zone; default that of this machine' },
    store: { type: 'text', value: 'STORE', summary: 'the backup store; default the only one' },
    keepLast: keep('so many of the last ones'),
    keepDaily: keep('the last of so many days'),
    keepWeekly: keep('the last of so many weeks'),
    keepMonthly: keep('the last of so many months'),
    chain: {
      type: 'integer',
      value: 'N',
      summary: 'how many rest on each other at most',
      minimum: 1,
      maximum: 1000,
      default: 14,
    },
    noFreeze: { type: 'flag', summary: 'do not freeze file systems through the guest agent' },
  },
  examples: [
    {
      command: "virga backups schedule web --cron '0 3 * * *' --keep-daily 7 --keep-monthly 12",
      explains: 'every night at three',
    },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    const { keepLast, keepDaily, keepWeekly, keepMonthly } = options;
    const retention: Retention = {
      ...(keepLast !== undefined && { last: keepLast }),
      ...(keepDaily !== undefined && { daily: keepDaily }),
      ...(keepWeekly !== undefined && { weekly: keepWeekly }),
      ...(keepMonthly !== undefined && { monthly: keepMonthly }),
    };
    const schedule = await client.createBackupSchedule({
      body: {
        ...{ instance: id, cron: options.cron, chainLimit: options.chain },
        timeZone: options.timeZone ?? timeZoneHere(),
        ...(options.store !== undefined && { store: options.store }),
        ...(Object.keys(retention).length > 0 && { retention }),
        ...(options.noFreeze && { freeze: false }),
      },
    });
    const next = formatNextRun(schedule, context.nowMs());
    const line = `instance ${name}: backed up next at ${next}; keeps ${describeRetention(schedule.retention)}`;
    await context.print.result(schedule, [line], [schedule.id]);
    return 0;
  },
});

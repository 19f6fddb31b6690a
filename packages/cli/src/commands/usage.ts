import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';
import { instanceMeasures } from './usage/usage-measures.ts';
import { sinceOption, windowSince } from './usage/usage-options.ts';
import { usageTable } from './usage/usage-table.ts';

export const usageCommand = defineCommand({
  meta: {
    path: 'usage',
    summary: 'Show what an instance has used over time',
    details:
      'From what is recorded every minute, kept for a day; over five minutes for 14 days, and over hours for a year. What ' +
      'it uses at this moment is shown by virga stats.',
    section: 'Instances',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: { since: sinceOption },
  examples: [{ command: 'virga usage web --since 2d', explains: 'what it did over the last two days' }],
  async run(context, { args, options }) {
    const query = windowSince(options.since, context.nowMs());
    const client = await context.client();
    const { id } = await findInstance(client, args.instance);
    const series = await client.getInstanceUsage({ params: { id }, query });
    if (context.print.format !== 'table') {
      await context.print.result(series, [], []);
      return 0;
    }
    const { rows, columns } = usageTable(instanceMeasures(series.points), series, context.print.terminal);
    await context.print.list(rows, columns, ({ title }) => title, 'Nothing has been recorded of it in that time.');
    return 0;
  },
});

import type { Client } from '@virga/contract/client';
import type { Host } from '@virga/contract/rest/hosts';
import { defineCommand } from '../../command.ts';
import type { CommandContext } from '../../context.ts';
import { eachBounded } from '../../each-bounded.ts';
import { listAll } from '../../list-all.ts';
import { findHost } from '../../lookup.ts';
import { sparkline } from '../../output/sparkline.ts';
import type { Column } from '../../output/table.ts';
import { hostMeasures } from '../usage/usage-measures.ts';
import { sinceOption, windowSince } from '../usage/usage-options.ts';
import {
  average,
  bytesPerSecond,
  courseWidth,
  highest,
  type Measured,
  percent,
  usageTable,
} from '../usage/usage-table.ts';

const atOnce = 8;

export const hostUsage = defineCommand({
  meta: {
    path: 'hosts usage',
    summary: 'Show what hosts have used over time: a line for each, or all of one',
    section: 'Resources',
  },
  args: { host: { summary: 'name or id; default a line for every host', optional: true, complete: 'host' } },
  options: { since: sinceOption },
  examples: [
    { command: 'virga hosts usage', explains: 'how busy they were in the last hour' },
    { command: 'virga hosts usage alpha --since 1w', explains: 'all of one, over a week' },
  ],
  async run(context, { args, options }) {
    const window = windowSince(options.since, context.nowMs());
    const client = await context.client();
    if (args.host === undefined) return listUsage(context, client, window);
    const { id } = await findHost(client, args.host);
    const series = await client.getHostUsage({ params: { id }, query: window });
    if (context.print.format !== 'table') {
      await context.print.result(series, [], []);
      return 0;
    }
    const { rows, columns } = usageTable(hostMeasures(series.points), series, context.print.terminal);
    await context.print.list(rows, columns, ({ title }) => title, 'Nothing has been recorded of it in that time.');
    return 0;
  },
});

type Window = { from: string; to: string };
type Line = Pick<Host, 'id' | 'name'> & { measures: Map<string, Measured> };

async function listUsage(context: CommandContext, client: Client, window: Window): Promise<number> {
  const hosts = await listAll((query) => client.listHosts({ query }));
  const seen = await eachBounded(hosts, atOnce, async ({ id, name }) => ({
    id,
    name,
    series: await client.getHostUsage({ params: { id }, query: window }),
  }));
  if (context.print.format !== 'table') {
    await context.print.result(seen, [], []);
    return 0;
  }
  const lines = seen.map(({ id, name, series }): Line => {
    const measures = new Map(hostMeasures(series.points).map((measured) => [measured.title, measured]));
    return { id, name, measures };
  });
  const columns = lineColumns();
  const width = courseWidth(lines, columns, context.print.terminal);
  const times = { fromMs: Date.parse(window.from), toMs: Date.parse(window.to), width, ceiling: 100 };
  columns.push({
    header: 'PROCESSORS',
    value: ({ measures }) =>
      sparkline(measures.get('processors')!.values, { ...times, unicode: context.print.terminal.unicode }),
    whole: true,
  });
  await context.print.list(lines, columns, ({ id }) => id, 'There is no host.');
  return 0;
}

function lineColumns(): Column<Line>[] {
  const averaged = (title: string) => (line: Line) => {
    const measured = line.measures.get(title);
    const value = measured && average(measured);
    return value === null || value === undefined ? '-' : measured!.format(value);
  };
  const sum = (line: Line, titles: readonly string[]) => {
    const known = titles.flatMap((title) => average(line.measures.get(title)!) ?? []);
    return known.length > 0 ? bytesPerSecond(known.reduce((total, each) => total + each, 0)) : '-';
  };
  const peak = ({ measures }: Line) => {
    const value = highest(measures.get('processors')!);
    return value === null ? '-' : percent(value);
  };
  return [
    { header: 'NAME', value: ({ name }) => name, essential: true },
    { header: 'CPU', value: averaged('processors'), essential: true },
    { header: 'HIGHEST', value: peak, whole: true },
    { header: 'MEMORY', value: averaged('memory'), whole: true },
    { header: 'DISK', value: (line) => sum(line, ['disk read', 'disk written']), whole: true },
    { header: 'NETWORK', value: (line) => sum(line, ['received', 'sent']), whole: true },
  ];
}

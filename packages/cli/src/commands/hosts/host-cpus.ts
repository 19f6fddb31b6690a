import { defineCommand } from '../../command.ts';
import { chosenHosts } from './chosen-hosts.ts';
import { cpuReportLines } from './cpu-report-view.ts';

export const hostCpus = defineCommand({
  meta: {
    path: 'hosts cpus',
    summary: 'Draw who has which CPU of a host, and which thread of which guest runs where',
    details:
      'Read from the kernel of the host: where each thread may run, where it was last seen (marked with *), and how much of a ' +
      'CPU it took meanwhile. --output json has every thread.',
    section: 'Resources',
  },
  args: { host: { summary: 'name or id; may be left out where there is one', optional: true, complete: 'host' } },
  options: {
    sample: {
      type: 'integer',
      value: 'MS',
      summary: 'for how long it is looked at, in milliseconds',
      minimum: 50,
      maximum: 10_000,
      default: 500,
    },
  },
  examples: [
    { command: 'virga hosts cpus', explains: 'of the only host' },
    { command: 'virga hosts cpus alpha --sample 5000', explains: 'looks for five seconds' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const [host] = await chosenHosts(client, args.host, false);
    const report = await client.getHostCpus({ params: { id: host!.id }, query: { sampleMs: options.sample } });
    const ids = report.cpus.map(({ id }) => String(id));
    await context.print.result(report, cpuReportLines(report, context.print.terminal), ids);
    return 0;
  },
});

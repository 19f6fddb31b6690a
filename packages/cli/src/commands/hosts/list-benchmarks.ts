import type { HostBenchmark } from '@virga/contract/rest/host-bench';
import { defineCommand } from '../../command.ts';
import { listAll } from '../../list-all.ts';
import { formatAge, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';
import { chosenHosts } from './chosen-hosts.ts';

export const listBenchmarks = defineCommand({
  meta: { path: 'hosts benchmarks', summary: 'List the benchmarks of a host, newest first', section: 'Resources' },
  args: { host: { summary: 'name or id; may be left out where there is one', optional: true, complete: 'host' } },
  options: {},
  examples: [{ command: 'virga hosts benchmarks', explains: 'what was measured, and when' }],
  async run(context, { args }) {
    const client = await context.client();
    const [host] = await chosenHosts(client, args.host, false);
    const params = { id: host!.id };
    const items = await listAll((query) => client.listHostBenchmarks({ params, query }));
    await context.print.list(items, columns(context.nowMs()), (item) => item.id, 'Nothing was measured yet.');
    return 0;
  },
});

const columns = (nowMs: number): Column<HostBenchmark>[] => [
  { header: 'ID', value: (item) => item.id, essential: true },
  { header: 'HOST', value: (item) => item.hostName },
  { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
  { header: 'ROUNDS', value: (item) => String(item.setup.pairs), whole: true },
  { header: 'MEASURED', value: (item) => item.comparisons.map(({ name }) => name).join(', ') },
  { header: 'AGE', value: (item) => formatAge(item.createdAt, nowMs), whole: true },
];

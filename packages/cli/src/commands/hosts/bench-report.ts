import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import { isId } from '@virga/contract/ids';
import type { HostBenchmark } from '@virga/contract/rest/host-bench';
import { defineCommand } from '../../command.ts';
import { reportOptions, tellBenchmark } from './bench-telling.ts';
import { chosenHosts } from './chosen-hosts.ts';

export const benchReportCommand = defineCommand({
  meta: {
    path: 'hosts bench-report',
    summary: 'Show what was measured on a host, and what it means',
    section: 'Resources',
  },
  args: {
    benchmark: {
      summary: 'id of a benchmark, or the host whose last one is meant; may be left out where there is one host',
      optional: true,
      complete: 'host',
    },
  },
  options: reportOptions,
  examples: [
    { command: 'virga hosts bench-report', explains: 'the last benchmark' },
    { command: 'virga hosts bench-report --keep-best', explains: 'and sets on the host what won in it' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    return tellBenchmark(context, client, await findBenchmark(client, args.benchmark), options);
  },
});

/** @throws NotFound */
async function findBenchmark(client: Client, idOrHost: string | undefined): Promise<HostBenchmark> {
  if (idOrHost !== undefined && isId('benchmark', idOrHost)) {
    return client.getHostBenchmark({ params: { id: idOrHost } });
  }
  const [host] = await chosenHosts(client, idOrHost, false);
  const [last] = (await client.listHostBenchmarks({ params: { id: host!.id }, query: { limit: 1 } })).items;
  if (last !== undefined) return last;
  throw new VirgaError('NotFound', {
    detail: `Nothing was measured on host ${host!.name} yet.`,
    action: `Measure it: virga hosts bench ${host!.name}.`,
  });
}

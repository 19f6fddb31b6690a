import { formatCpuList } from '@virga/contract/agent/cpu-list';
import { defineCommand } from '../../command.ts';
import { findHost } from '../../lookup.ts';
import { readCpuList } from '../cpu-options.ts';

const none = 'none';

export const reserveCpus = defineCommand({
  meta: {
    path: 'hosts reserve-cpus',
    summary: 'Set which CPUs a host keeps for itself',
    details:
      'No vCPU runs on them, and no instance gets one for itself; threads of QEMU may run there. Guests that share leave them ' +
      'at once. Refused while an instance has one for itself, or when too few would be left. Needs the cloud role admin.',
    section: 'Resources',
  },
  args: {
    host: { summary: 'name or id', complete: 'host' },
    cpus: { summary: `all of them, such as 0,4 or 0-1; ${none}: the host keeps nothing` },
  },
  options: {},
  examples: [
    { command: 'virga hosts reserve-cpus alpha 0,16', explains: 'the first core, both threads of it' },
    { command: `virga hosts reserve-cpus alpha ${none}`, explains: 'all CPUs are for guests' },
  ],
  async run(context, { args }) {
    const cpus = args.cpus === none ? [] : readCpuList('CPUS', args.cpus);
    const client = await context.client();
    const { id, name } = await findHost(client, args.host);
    const answer = await client.reserveHostCpus({ params: { id }, body: { cpus } });
    const kept = answer.reserved.length === 0 ? 'no CPU' : `CPU ${formatCpuList(answer.reserved)}`;
    await context.print.result(answer, [`host ${name}: keeps ${kept} for itself`], answer.reserved.map(String));
    return 0;
  },
});

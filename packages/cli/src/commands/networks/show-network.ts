import { defineCommand } from '../../command.ts';
import { findNetwork } from '../../lookup.ts';
import { networkRows } from './network-view.ts';

export const showNetwork = defineCommand({
  meta: { path: 'networks show', summary: 'Show a network', section: 'Resources' },
  args: { network: { summary: 'name or id', complete: 'network' } },
  options: {},
  examples: [{ command: 'virga networks show default', explains: 'its range, gateway and state' }],
  async run(context, { args }) {
    const network = await findNetwork(await context.client(), args.network);
    await context.print.record(network, networkRows(network, context.nowMs()), network.id);
    return 0;
  },
});

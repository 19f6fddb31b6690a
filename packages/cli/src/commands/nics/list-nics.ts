import type { NetworkInterface } from '@virga/contract/rest/instance-devices';
import { defineCommand } from '../../command.ts';
import { findInstance } from '../../lookup.ts';
import type { Column } from '../../output/table.ts';
import { describeNicLimits } from '../limit-options.ts';

const columns: Column<NetworkInterface>[] = [
  { header: 'ADDRESS', value: (item) => item.address, essential: true },
  { header: 'NETWORK', value: (item) => item.networkName },
  { header: 'MAC', value: (item) => item.mac, whole: true },
  { header: 'STATE', value: (item) => item.state, whole: true },
  { header: 'LIMITS', value: (item) => describeNicLimits(item.limits) ?? '-' },
  { header: 'ID', value: (item) => item.id, essential: true },
];

export const listNics = defineCommand({
  meta: { path: 'nics list', summary: 'List the network interfaces of an instance', section: 'Devices' },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {},
  examples: [{ command: 'virga nics list web', explains: 'their networks, addresses and limits' }],
  async run(context, { args }) {
    const { name, networkInterfaces } = await findInstance(await context.client(), args.instance);
    const none = `${name} has no network interface. Add one with virga nics add ${name} NETWORK.`;
    await context.print.list(networkInterfaces, columns, (item) => item.id, none);
    return 0;
  },
});

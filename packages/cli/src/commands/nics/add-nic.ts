import { defineCommand } from '../../command.ts';
import { changeInstances, findInstances } from '../instance-change.ts';
import { nicLimitOptions, readNicLimits } from '../limit-options.ts';
import { waitOption } from '../shared-options.ts';

export const addNic = defineCommand({
  meta: {
    path: 'nics add',
    summary: 'Add a network interface to an instance, while it runs',
    details: 'The guest gets its address by DHCP; systems that ask only at boot want to be told.',
    section: 'Devices',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    network: { summary: 'name or id', complete: 'network' },
  },
  options: {
    address: { type: 'text', value: 'IP', summary: 'this address instead of the next free one' },
    ...nicLimitOptions,
    wait: waitOption,
  },
  examples: [{ command: 'virga nics add web lab --address 10.90.0.20', explains: 'with an address of your choice' }],
  async run(context, { args: { instance, network }, options: { address, wait, ...options } }) {
    const limits = readNicLimits(options);
    const body = {
      network,
      ...(address === undefined ? {} : { address }),
      ...(Object.keys(limits).length > 0 ? { limits } : {}),
    };
    return changeInstances(context, await findInstances(context, [instance]), {
      requested: `network interface on ${network} requested`,
      done: `has a network interface on ${network}`,
      wait,
      call: (client, { id }) => client.addNetworkInterface({ params: { id }, body }),
    });
  },
});

import { defineCommand } from '../../command.ts';
import { changeInstances, findInstances } from '../instance-change.ts';
import { nicOf } from '../instance-parts.ts';
import { nicLimitOptions, noneOption, readNicLimits, requireOne } from '../limit-options.ts';
import { waitOption } from '../shared-options.ts';

export const limitNic = defineCommand({
  meta: {
    path: 'limit nic',
    summary: 'Limit the rate of a network interface of an instance, while it runs',
    details: 'What is given replaces all limits that it has. A host whose kernel cannot do it refuses.',
    section: 'Devices',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    nic: { summary: 'its address, MAC address or id' },
  },
  options: { ...nicLimitOptions, none: noneOption, wait: waitOption },
  examples: [{ command: 'virga limit nic web 10.77.0.10 --in 10M --out 10M', explains: 'both ways' }],
  async run(context, { args: { instance, nic }, options: { none, wait, ...options } }) {
    const body = readNicLimits(options);
    requireOne(body, none);
    return changeInstances(context, await findInstances(context, [instance]), {
      requested: `limits of ${nic} requested`,
      done: none ? `${nic} is not limited` : `${nic} is limited`,
      wait,
      call: async (client, found) =>
        client.limitNetworkInterface({ params: { id: found.id, nicId: nicOf(found, nic) }, body }),
    });
  },
});

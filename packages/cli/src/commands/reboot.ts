import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitForGuestOption } from './shared-options.ts';

export const reboot = defineCommand({
  meta: { path: 'reboot', summary: 'Reboot instances', section: 'Instances' },
  args: { instances: instancesArgument },
  options: {
    ...filterOptions,
    hard: { type: 'flag', summary: 'reset at once, without asking the guest' },
    wait: waitForGuestOption,
  },
  examples: [
    { command: 'virga reboot web --wait=ssh', explains: 'waits until one can log in again' },
    { command: 'virga reboot web --hard', explains: 'presses the reset button' },
    { command: 'virga reboot --tag role=web', explains: 'all with this tag' },
  ],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'reboot requested',
      wait: options.wait,
      call: (client, { id }) => client.rebootInstance({ params: { id }, body: { hard: options.hard } }),
    });
  },
});

import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitForGuestOption } from './shared-options.ts';

export const reset = defineCommand({
  meta: {
    path: 'reset',
    summary: 'Press the reset button of instances',
    details: 'The guest is not asked, and what it had not written to its disk is lost. virga reboot asks it.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: { ...filterOptions, wait: waitForGuestOption },
  examples: [
    { command: 'virga reset web --wait=ssh', explains: 'waits until one can log in again' },
    { command: 'virga reset --tag role=web', explains: 'all with this tag' },
  ],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'reset requested',
      wait: options.wait,
      call: (client, { id }) => client.resetInstance({ params: { id } }),
    });
  },
});

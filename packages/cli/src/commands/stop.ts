import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitOption } from './shared-options.ts';

export const stop = defineCommand({
  meta: {
    path: 'stop',
    summary: 'Shut instances down',
    details: 'Presses the power button (ACPI). A guest that has not shut down when the time is over is cut off.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: {
    ...filterOptions,
    timeout: {
      type: 'integer',
      value: 'SECONDS',
      summary: 'how long the guest may take',
      minimum: 0,
      maximum: 3600,
      default: 60,
    },
    wait: waitOption,
  },
  examples: [
    { command: 'virga stop web --wait', explains: 'waits until it is off' },
    { command: 'virga stop web --timeout 300', explains: 'gives it five minutes' },
    { command: 'virga stop --tag env=test', explains: 'all with this tag' },
  ],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'stop requested',
      wait: options.wait,
      call: (client, { id }) => client.stopInstance({ params: { id }, body: { timeoutSeconds: options.timeout } }),
    });
  },
});

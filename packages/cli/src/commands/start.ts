import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitForGuestOption } from './shared-options.ts';

export const start = defineCommand({
  meta: {
    path: 'start',
    summary: 'Start stopped instances',
    details: 'A hibernated one goes on where it was.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: {
    ...filterOptions,
    paused: { type: 'flag', summary: 'it stands still from its start on, until virga resume' },
    wait: waitForGuestOption,
  },
  examples: [
    { command: 'virga start web', explains: 'asks for it and returns' },
    { command: 'virga start web db --wait', explains: 'waits until both run' },
    { command: 'virga start --state stopped', explains: 'all that are off' },
  ],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'start requested',
      wait: options.wait,
      call: (client, { id }) => client.startInstance({ params: { id }, body: options.paused ? { paused: true } : {} }),
    });
  },
});

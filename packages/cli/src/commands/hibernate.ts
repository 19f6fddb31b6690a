import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitOption } from './shared-options.ts';

export const hibernate = defineCommand({
  meta: {
    path: 'hibernate',
    summary: 'Save the memory of instances to disk and turn them off',
    details: 'Their room on the host is free meanwhile. virga wake, or virga start, lets them go on where they were.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: { ...filterOptions, wait: waitOption },
  examples: [
    { command: 'virga hibernate web --wait', explains: 'waits until its memory is saved' },
    { command: 'virga hibernate --tag env=test', explains: 'all with this tag' },
  ],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'hibernation requested',
      wait: options.wait,
      call: (client, { id }) => client.hibernateInstance({ params: { id } }),
    });
  },
});

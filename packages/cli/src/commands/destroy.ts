import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitOption } from './shared-options.ts';

export const destroy = defineCommand({
  meta: {
    path: 'destroy',
    summary: 'Cut the power of instances at once',
    details: 'The disk stays, and virga start boots it again. What the guest had not written to it is lost.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: { ...filterOptions, wait: waitOption },
  examples: [
    { command: 'virga destroy web --wait', explains: 'pulls the plug' },
    { command: 'virga destroy --tag env=test', explains: 'all with this tag' },
  ],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'power-off requested',
      wait: options.wait,
      call: (client, { id }) => client.destroyInstance({ params: { id } }),
    });
  },
});

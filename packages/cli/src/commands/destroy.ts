import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { waitOption } from './shared-options.ts';

export const destroy = defineCommand({
  meta: {
    path: 'destroy',
    summary: 'Cut the power of instances at once',
    details: 'The disk stays, and virga start boots it again. What the guest had not written to it is lost.',
    section: 'Instances',
  },
  args: { instances: { summary: 'names or ids', variadic: true, complete: 'instance' } },
  options: { wait: waitOption },
  examples: [{ command: 'virga destroy web --wait', explains: 'pulls the plug' }],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances), {
      requested: 'power-off requested',
      wait: options.wait,
      call: (client, { id }) => client.destroyInstance({ params: { id } }),
    });
  },
});

import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { waitForGuestOption } from './shared-options.ts';

export const start = defineCommand({
  meta: { path: 'start', summary: 'Start stopped instances', section: 'Instances' },
  args: { instances: { summary: 'names or ids', variadic: true, complete: 'instance' } },
  options: { wait: waitForGuestOption },
  examples: [
    { command: 'virga start web', explains: 'asks for it and returns' },
    { command: 'virga start web db --wait', explains: 'waits until both run' },
  ],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances), {
      requested: 'start requested',
      wait: options.wait,
      call: (client, { id }) => client.startInstance({ params: { id } }),
    });
  },
});

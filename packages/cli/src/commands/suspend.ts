import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitOption } from './shared-options.ts';

export const suspend = defineCommand({
  meta: {
    path: 'suspend',
    summary: 'Let instances stand still',
    details: 'Their memory stays on the host, as does their room there: virga hibernate frees both.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: { ...filterOptions, wait: waitOption },
  examples: [
    { command: 'virga suspend web --wait', explains: 'waits until it stands still' },
    { command: 'virga suspend --tag env=test', explains: 'all with this tag' },
  ],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'pause requested',
      wait: options.wait,
      call: (client, { id }) => client.suspendInstance({ params: { id } }),
    });
  },
});

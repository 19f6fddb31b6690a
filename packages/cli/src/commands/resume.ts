import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitOption } from './shared-options.ts';

export const resume = defineCommand({
  meta: {
    path: 'resume',
    summary: 'Let instances that stand still go on',
    details: 'Also those whom the host stopped because its storage was full, once there is room.',
    section: 'Instances',
  },
  args: { instances: instancesArgument },
  options: { ...filterOptions, wait: waitOption },
  examples: [
    { command: 'virga resume web --wait', explains: 'waits until it goes on' },
    { command: 'virga resume --state paused', explains: 'all that stand still' },
  ],
  async run(context, { args, options }) {
    return changeInstances(context, await findInstances(context, args.instances, options), {
      requested: 'resume requested',
      wait: options.wait,
      call: (client, { id }) => client.resumeInstance({ params: { id } }),
    });
  },
});

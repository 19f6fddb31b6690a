import { defineCommand } from '../command.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitOption } from './shared-options.ts';

export const release = defineCommand({
  meta: {
    path: 'release',
    summary: 'Give instances back: their domains run on, and are no longer instances',
    details:
      'Nothing is restarted and no file is moved: from then on virsh alone looks after the domain. Its addresses stay ' +
      'reserved, and its image in use, for as long as the domain exists. virga adopt takes it back. Needs the role admin in ' +
      'the project.',
    section: 'Beside virsh',
  },
  args: { instances: instancesArgument },
  options: { ...filterOptions, wait: waitOption },
  examples: [{ command: 'virga release web --wait', explains: 'then virsh list shows it, and virga list does not' }],
  async run(context, { args, options }) {
    const instances = await findInstances(context, args.instances, options);
    return changeInstances(context, instances, {
      requested: 'release requested',
      done: 'released',
      wait: options.wait,
      call: (client, { id }) => client.releaseInstance({ params: { id } }),
    });
  },
});

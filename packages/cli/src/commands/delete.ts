import type { Instance } from '@virga/contract/rest/instances';
import { defineCommand } from '../command.ts';
import { confirmDestruction } from '../prompts.ts';
import { deleteQuestion } from './delete-question.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { filterOptions, instancesArgument } from './instance-filter.ts';
import { waitOption, yesOption } from './shared-options.ts';

export const deleteInstances = defineCommand({
  meta: { path: 'delete', summary: 'Delete instances with their disks and addresses', section: 'Instances' },
  args: { instances: instancesArgument },
  options: {
    ...filterOptions,
    withVolumes: { type: 'flag', summary: 'delete the volumes that they have too' },
    yes: yesOption,
    wait: waitOption,
  },
  examples: [
    { command: 'virga delete web', explains: 'asks first' },
    { command: 'virga delete web db --yes --wait', explains: 'does not ask, and waits until nothing is left' },
    { command: 'virga delete web --with-volumes', explains: 'and the volumes that it has' },
    { command: 'virga delete --tag env=test --state stopped', explains: 'those of them that are off' },
  ],
  async run(context, { args, options }) {
    const instances = await findInstances(context, args.instances, options);
    const { withVolumes } = options;
    await confirmDestruction(
      context,
      `${deleteQuestion(instances)}${withVolumes ? doomedVolumes(instances) : ''}`,
      options.yes,
    );
    return changeInstances(context, instances, {
      requested: 'deletion requested',
      done: 'deleted',
      wait: options.wait,
      call: (client, { id }) => client.deleteInstance({ params: { id }, query: withVolumes ? { withVolumes } : {} }),
    });
  },
});

function doomedVolumes(instances: readonly Instance[]): string {
  const names = instances.flatMap(({ volumes }) => volumes.map(({ name }) => name));
  return names.length === 0 ? '' : ` With them go the volumes ${names.join(', ')}.`;
}

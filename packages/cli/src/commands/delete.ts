import { defineCommand } from '../command.ts';
import { confirmDestruction } from '../prompts.ts';
import { deleteQuestion } from './delete-question.ts';
import { changeInstances, findInstances } from './instance-change.ts';
import { waitOption, yesOption } from './shared-options.ts';

export const deleteInstances = defineCommand({
  meta: { path: 'delete', summary: 'Delete instances with their disks and addresses', section: 'Instances' },
  args: { instances: { summary: 'names or ids', variadic: true, complete: 'instance' } },
  options: { yes: yesOption, wait: waitOption },
  examples: [
    { command: 'virga delete web', explains: 'asks first' },
    { command: 'virga delete web db --yes --wait', explains: 'does not ask, and waits until nothing is left' },
  ],
  async run(context, { args, options }) {
    const instances = await findInstances(context, args.instances);
    await confirmDestruction(context, deleteQuestion(instances), options.yes);
    return changeInstances(context, instances, {
      requested: 'deletion requested',
      done: 'deleted',
      wait: options.wait,
      call: (client, { id }) => client.deleteInstance({ params: { id } }),
    });
  },
});

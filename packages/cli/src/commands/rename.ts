import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';
import { changeInstances } from './instance-change.ts';

export const rename = defineCommand({
  meta: {
    path: 'rename',
    summary: 'Give an instance another name',
    details:
      'The domain follows: at once when it is off, else at its next start. Inside, the guest keeps the host name that it ' +
      'was launched with.',
    section: 'Instances',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    name: { summary: 'lower-case letters, digits and hyphens' },
  },
  options: {},
  examples: [{ command: 'virga rename web shop', explains: 'web is called shop from now on' }],
  async run(context, { args }) {
    const instance = await findInstance(await context.client(), args.instance);
    return changeInstances(context, [instance], {
      requested: `renamed to ${args.name}`,
      wait: false,
      call: (client, { id }) => client.updateInstance({ params: { id }, body: { name: args.name } }),
    });
  },
});

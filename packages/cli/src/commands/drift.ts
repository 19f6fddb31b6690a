import { defineCommand } from '../command.ts';
import { findInstance } from '../lookup.ts';

export const drift = defineCommand({
  meta: {
    path: 'drift',
    summary: 'Show what was changed beside Virga, such as with virsh edit, and what became of it',
    details:
      'virsh and virt-manager keep working on instances. What they change in a definition is kept over what Virga generates; ' +
      'with --policy revert it is taken back at once. Either way it is told in the events, with its difference.',
    section: 'Beside virsh',
  },
  args: { instance: { summary: 'name or id', complete: 'instance' } },
  options: {
    policy: {
      type: 'text',
      value: 'POLICY',
      choices: ['keep', 'revert'],
      summary: 'what becomes of such changes from now on; needs the role admin in the project',
    },
  },
  examples: [
    { command: 'virga drift web', explains: 'the last change, as a diff' },
    { command: 'virga drift web --policy revert', explains: 'nobody but Virga changes this one' },
  ],
  async run(context, { args, options }) {
    const client = await context.client();
    const { id, name } = await findInstance(client, args.instance);
    if (options.policy !== undefined) {
      await client.setDriftPolicy({ params: { id }, body: { policy: options.policy } });
    }
    const answer = await client.getDrift({ params: { id } });
    const { policy, last } = answer;
    const rule = policy === 'keep' ? 'are kept' : 'are taken back';
    const what = last
      ? [`Changed beside Virga at ${last.seenAt}, and ${last.action}:`, last.diff.trimEnd()]
      : ['Nothing was changed beside Virga.'];
    await context.print.result(answer, [`Changes beside Virga to ${name} ${rule}.`, ...what], []);
    return 0;
  },
});

import { defineCommand } from '../../command.ts';
import { confirmDestruction } from '../../prompts.ts';
import { yesOption } from '../shared-options.ts';

export const deleteType = defineCommand({
  meta: {
    path: 'types delete',
    summary: 'Delete an instance type; instances keep their size',
    details: 'Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { type: { summary: 'name', complete: 'type' } },
  options: { yes: yesOption },
  examples: [{ command: 'virga types delete build', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    await confirmDestruction(context, `Delete instance type ${args.type}?`, options.yes);
    await client.deleteInstanceType({ params: { name: args.type } });
    await context.print.result(
      { name: args.type, deleted: true },
      [`instance type ${args.type}: deleted`],
      [args.type],
    );
    return 0;
  },
});

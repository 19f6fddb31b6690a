import { defineCommand } from '../../command.ts';
import { confirmDestruction } from '../../prompts.ts';
import { yesOption } from '../shared-options.ts';

export const deleteVolumeType = defineCommand({
  meta: {
    path: 'volume-types delete',
    summary: 'Delete a volume type; volumes stay as they are',
    details: 'Needs the cloud role admin.',
    section: 'Resources',
  },
  args: { type: { summary: 'name' } },
  options: { yes: yesOption },
  examples: [{ command: 'virga volume-types delete gold', explains: 'asks first' }],
  async run(context, { args: { type }, options }) {
    const client = await context.client();
    await confirmDestruction(context, `Delete volume type ${type}?`, options.yes);
    await client.deleteVolumeType({ params: { name: type } });
    await context.print.result({ name: type, deleted: true }, [`volume type ${type}: deleted`], [type]);
    return 0;
  },
});

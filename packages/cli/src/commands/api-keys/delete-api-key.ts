import { VirgaError } from '@virga/contract/errors';
import { closest } from '../../closest.ts';
import { defineCommand } from '../../command.ts';
import { confirmDestruction } from '../../prompts.ts';
import { yesOption } from '../shared-options.ts';

export const deleteApiKey = defineCommand({
  meta: {
    path: 'api-keys delete',
    summary: 'Revoke one of your API keys',
    details: 'Whatever signs in with it is refused from then on.',
    section: 'Access',
  },
  args: { key: { summary: 'access key id', complete: 'apiKey' } },
  options: { yes: yesOption },
  examples: [{ command: 'virga api-keys delete VKABCDEFGHIJKLMNOP23', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const { items } = await client.listApiKeys();
    const ids = items.map((item) => item.accessKeyId);
    if (!ids.includes(args.key)) {
      const near = closest(args.key, ids);
      throw new VirgaError('NotFound', {
        detail: `You have no API key ${args.key}.`,
        action: `${near === undefined ? '' : `Did you mean ${near}? `}virga api-keys list shows what there is.`,
      });
    }
    const own = (await context.settings()).accessKeyId === args.key;
    const what = own ? `${args.key}, with which you are signed in here` : args.key;
    await confirmDestruction(context, `Revoke the API key ${what}?`, options.yes);
    await client.deleteApiKey({ params: { accessKeyId: args.key } });
    const lines = [`API key ${args.key}: revoked`];
    await context.print.result({ accessKeyId: args.key, deleted: true }, lines, [args.key]);
    return 0;
  },
});

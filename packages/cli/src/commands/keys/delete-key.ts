import { defineCommand } from '../../command.ts';
import { readConfig } from '../../config/config-file.ts';
import { findKeyPair } from '../../lookup.ts';
import { confirmDestruction } from '../../prompts.ts';
import { yesOption } from '../shared-options.ts';

export const deleteKey = defineCommand({
  meta: {
    path: 'keys delete',
    summary: 'Delete a key pair from the project',
    details: 'Instances that have the key keep it, and so does the file with the private key on this machine.',
    section: 'Resources',
  },
  args: { key: { summary: 'name or id', complete: 'key' } },
  options: { yes: yesOption },
  examples: [{ command: 'virga keys delete laptop', explains: 'asks first' }],
  async run(context, { args, options }) {
    const client = await context.client();
    const keyPair = await findKeyPair(client, args.key);
    await confirmDestruction(context, `Delete key pair ${keyPair.name}?`, options.yes);
    await client.deleteKeyPair({ params: { id: keyPair.id } });
    await context.print.result({ ...keyPair, deleted: true }, [`key pair ${keyPair.name}: deleted`], [keyPair.id]);
    const path = (await readConfig(context.io.env)).identities[keyPair.fingerprint];
    if (path) context.print.note(`  the private key is still in ${path}`);
    return 0;
  },
});

import { resolve } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../../command.ts';
import { readGivenFile } from '../../given-file.ts';
import { idempotent } from '../../idempotent.ts';
import { exists, rememberIdentity } from '../../ssh/identities.ts';

export const importKey = defineCommand({
  meta: {
    path: 'keys import',
    summary: 'Import a public key',
    details:
      'When the private key lies beside it, without .pub, its path is remembered for virga ssh. It is never sent.',
    section: 'Resources',
  },
  args: {
    name: { summary: 'lower-case letters, digits and hyphens' },
    path: { summary: 'file with the public key in the format of OpenSSH', complete: 'file' },
  },
  options: {},
  examples: [{ command: 'virga keys import laptop ~/.ssh/id_ed25519.pub', explains: 'the key of this machine' }],
  async run(context, { args }) {
    const path = resolve(args.path);
    const publicKey = await readPublicKey(path);
    const client = await context.client();
    const body = { name: args.name, publicKey };
    const keyPair = await idempotent((request) => client.importKeyPair({ body }, request));
    const privatePath = path.endsWith('.pub') ? path.slice(0, -'.pub'.length) : undefined;
    const remembered = privatePath !== undefined && (await exists(privatePath));
    if (remembered) await rememberIdentity(context.io.env, keyPair.fingerprint, privatePath);
    await context.print.result(keyPair, [`key pair ${keyPair.name}: imported, ${keyPair.fingerprint}`], [keyPair.id]);
    if (!remembered)
      context.print.note('  no private key lies beside it: virga ssh will use your agent and default keys');
    return 0;
  },
});

/** @throws InvalidKeyPair it is a private key | InvalidArgument it cannot be read; nothing was sent */
async function readPublicKey(path: string): Promise<string> {
  const action = 'Give the path of a public key, such as ~/.ssh/id_ed25519.pub.';
  const text = await readGivenFile(path, { what: 'key file', action });
  if (text.includes('PRIVATE KEY')) {
    throw new VirgaError('InvalidKeyPair', {
      detail: `${path} is a private key; it was not sent.`,
      action: `Import the public half: ${path}.pub, or what ssh-keygen -y -f ${path} prints.`,
    });
  }
  return text.trim();
}

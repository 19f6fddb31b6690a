import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../../command.ts';
import { readGivenFile } from '../../given-file.ts';
import { findInstance } from '../../lookup.ts';

export const addGuestKey = defineCommand({
  meta: {
    path: 'guest add-key',
    summary: 'Let SSH keys log in to an instance that runs already',
    section: 'Consoles and guests',
  },
  args: {
    instance: { summary: 'name or id', complete: 'instance' },
    file: { summary: 'file with public keys in the format of OpenSSH', complete: 'file' },
  },
  options: {
    user: { type: 'text', value: 'NAME', summary: 'user of the guest; default its login user' },
    replace: { type: 'flag', summary: 'take all other keys of the user away' },
  },
  examples: [{ command: 'virga guest add-key web ~/.ssh/id_ed25519.pub', explains: 'who lost the key gets in again' }],
  async run(context, { args, options }) {
    const keys = await readPublicKeys(args.file);
    const client = await context.client();
    const { id, name, loginUser } = await findInstance(client, args.instance);
    const user = options.user ?? loginUser ?? 'root';
    await client.setGuestKeys({ params: { id }, body: { user, keys, replace: options.replace } });
    const count = keys.length === 1 ? '1 key' : `${keys.length} keys`;
    await context.print.result({ user, keys }, [`guest ${name}: ${count} may log in as ${user}`], [id]);
    return 0;
  },
});

/** @throws InvalidKeyPair it is a private key | InvalidArgument it cannot be read, or is empty; nothing was sent */
async function readPublicKeys(path: string): Promise<string[]> {
  const action = 'Give the path of a public key, such as ~/.ssh/id_ed25519.pub.';
  const text = await readGivenFile(path, { what: 'key file', action });
  if (text.includes('PRIVATE KEY')) {
    throw new VirgaError('InvalidKeyPair', {
      detail: `${path} is a private key; it was not sent.`,
      action: `Give the public half: ${path}.pub, or what ssh-keygen -y -f ${path} prints.`,
    });
  }
  const keys = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (keys.length > 0) return keys;
  throw new VirgaError('InvalidArgument', {
    detail: `There is no key in ${path}.`,
    action,
  });
}

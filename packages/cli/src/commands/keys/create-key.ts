import { execFile } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { VirgaError } from '@virga/contract/errors';
import { defineCommand } from '../../command.ts';
import { configFolder } from '../../config/config-file.ts';
import { idempotent } from '../../idempotent.ts';
import { exists, rememberIdentity } from '../../ssh/identities.ts';

/** As the contract says: the name becomes a file name, so it is checked before any file is made. */
const namePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export const createKey = defineCommand({
  meta: {
    path: 'keys create',
    summary: 'Make a new SSH key on this machine and import its public half',
    details: 'An ed25519 key without a passphrase, in a file that only you can read. The private key never leaves it.',
    section: 'Resources',
  },
  args: { name: { summary: 'lower-case letters, digits and hyphens' } },
  options: {
    file: {
      type: 'text',
      value: 'FILE',
      complete: 'file',
      summary: 'where the private key goes; default keys/NAME in the folder of the configuration',
    },
  },
  examples: [{ command: 'virga keys create laptop', explains: 'then virga launch and virga ssh use it' }],
  async run(context, { args, options }) {
    const { name } = args;
    if (!namePattern.test(name)) {
      throw new VirgaError('InvalidArgument', {
        detail: `${JSON.stringify(name)} cannot be the name of a key pair.`,
        action: 'Use lower-case letters, digits and hyphens, at most 63.',
      });
    }
    const client = await context.client();
    const path = options.file === undefined ? join(configFolder(context.io.env), 'keys', name) : resolve(options.file);
    for (const taken of [path, `${path}.pub`]) {
      if (await exists(taken)) throw fileTaken(taken, path, name);
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    let imported = false;
    try {
      await generate(path, `virga-${name}`, context.io.env);
      const publicKey = (await readFile(`${path}.pub`, 'utf8')).trim();
      const keyPair = await idempotent((request) => client.importKeyPair({ body: { name, publicKey } }, request));
      imported = true;
      await rememberIdentity(context.io.env, keyPair.fingerprint, path);
      const line = `key pair ${name}: created, ${keyPair.fingerprint}`;
      await context.print.result({ ...keyPair, privateKeyPath: path }, [line], [keyPair.id]);
      context.print.note(`  private key: ${path}`);
    } finally {
      if (!imported) await Promise.all([rm(path, { force: true }), rm(`${path}.pub`, { force: true })]);
    }
    return 0;
  },
});

async function generate(path: string, comment: string, env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', path], { env });
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new VirgaError('InvalidArgument', {
      detail: missing ? 'There is no ssh-keygen on the PATH.' : `ssh-keygen could not write ${path}.`,
      action: missing
        ? 'Install it, for instance with apt-get install openssh-client.'
        : 'Name another place with --file.',
      cause,
    });
  }
}

function fileTaken(taken: string, path: string, name: string): VirgaError {
  return new VirgaError('NameTaken', {
    detail: `There is a file ${taken} already.`,
    action: `Import that key with virga keys import ${name} ${path}.pub, or name another file with --file.`,
  });
}

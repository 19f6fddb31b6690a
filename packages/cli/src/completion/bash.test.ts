// The completion script in a real bash, asking a real server through the real command line.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { anImage, anInstance } from '@virga/testing/contract-examples';
import { type ContractServer, serveContract } from '@virga/testing/contract-server';
import { installCli } from '@virga/testing/installed-cli';
import { completionScript } from './scripts.ts';

let folder: string;
let server: ContractServer;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-bash-'));
  server = await serveContract({
    listInstances: () => ({ items: ['web', 'web-2', 'db'].map((name) => anInstance({ name })) }),
    listImages: () => ({ items: [anImage()] }),
  });
  await installCli(folder);
  await writeFile(join(folder, 'completion.bash'), completionScript('bash'));
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** What bash offers when the words have been typed and the tab key is pressed; words as bash takes them apart. */
async function offered(words: string[], { setUp = '' } = {}): Promise<string[]> {
  const script = `
    ${setUp}
    source "$1/completion.bash"
    source "$1/completion.bash"
    shift
    compopt() { echo "compopt $*"; }
    COMP_WORDS=(virga "$@")
    COMP_CWORD=$(($# ))
    _virga
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = {
    PATH: `${folder}/bin:${process.env.PATH}`,
    HOME: folder,
    VIRGA_SERVER: server.url,
    VIRGA_ACCESS_KEY_ID: 'VKTESTTESTTESTTEST22',
    VIRGA_SECRET_ACCESS_KEY: 's',
  };
  const argv = ['--norc', '--noprofile', '-c', script, 'bash', folder, ...words];
  const { stdout, stderr } = await promisify(execFile)('bash', argv, { env, cwd: folder });
  assert.equal(stderr, '');
  return stdout.split('\n').filter((line) => line !== '');
}

test('commands, options and names are offered', async () => {
  assert.deepEqual(await offered(['lau']), ['launch']);
  assert.deepEqual(await offered(['list', '--sta']), ['--state']);
  assert.deepEqual(await offered(['show', 'w']), ['web', 'web-2']);
  assert.deepEqual(await offered(['delete', 'web', '']), ['web-2', 'db']);
});

test('a value joined with = is put together although bash takes it apart', async () => {
  assert.deepEqual(await offered(['launch', '--image', '=', 'st']), ['starter']);
  assert.deepEqual(await offered(['list', '--output', '=']), ['table', 'json', 'yaml']);
});

test('files are left to bash', async () => {
  assert.deepEqual(await offered(['keys', 'import', 'laptop', '']), ['compopt -o default']);
});

test('what was typed is never evaluated', async () => {
  assert.deepEqual(await offered(['show', '$(touch evaluated)`touch evaluated`', '']), []);
  await assert.rejects(promisify(execFile)('ls', [join(folder, 'evaluated')]));
});

test('without a server that answers there are no names and no noise', async () => {
  assert.deepEqual(await offered(['--server', 'http', ':', '//127.0.0.1', ':', '1', 'show', 'w']), []);
});

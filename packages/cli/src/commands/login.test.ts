import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { aCaller, anApiKey } from '@virga/testing/contract-examples';
import { type Handlers, serveContract } from '@virga/testing/contract-server';

const noKey = { VIRGA_ACCESS_KEY_ID: undefined, VIRGA_SECRET_ACCESS_KEY: undefined };
const cloud: Handlers = {
  getCaller: ({ headers }) => {
    const expected = `Basic ${Buffer.from('VKTESTTESTTESTTEST22:fresh').toString('base64')}`;
    if (headers.authorization === expected) return aCaller();
    throw new VirgaError('Unauthenticated', { detail: 'The secret is wrong.', action: 'Check it.' });
  },
  login: ({ body }) => {
    if (body.password === 'correct horse') return { apiKey: anApiKey(), secret: 'fresh' };
    throw new VirgaError('Unauthenticated', { detail: 'User name or password is wrong.', action: 'Try again.' });
  },
  listInstances: () => ({ items: [] }),
  deleteApiKey: () => ({}),
};

test('login with an API key keeps it in a file that only its owner reads', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, noKey);
  const run = await cli.run(['login', '--access-key-id', 'VKTESTTESTTESTTEST22', '--secret-stdin'], {
    input: 'fresh\n',
  });
  assert.equal(run.exit, 0, run.stderr);
  const path = join(cli.home, '.config/virga/config.json');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await stat(join(cli.home, '.config/virga'))).mode & 0o777, 0o700);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')).profiles.default, {
    server: server.url,
    accessKeyId: 'VKTESTTESTTESTTEST22',
    secret: 'fresh',
  });
  assert.equal((await cli.run(['list'], { env: { VIRGA_SERVER: '' } })).exit, 0);
});

test('the secret of the API key may be in the environment, for programs', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, noKey);
  const env = { VIRGA_SECRET_ACCESS_KEY: 'fresh' };
  const run = await cli.run(['login', '--access-key-id', 'VKTESTTESTTESTTEST22'], { env });
  assert.equal(run.exit, 0, run.stderr);
  assert.equal((await cli.run(['whoami'])).exit, 0);
});

test('a refused login remembers nothing', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, noKey);
  const run = await cli.run(['login', '--access-key-id', 'VKTESTTESTTESTTEST22', '--secret-stdin'], {
    input: 'stale\n',
  });
  assert.equal(run.exit, 5);
  assert.equal((await cli.run(['profiles', '-o', 'json'])).stdout, '[]\n');
});

test('login asks for user name and password at a terminal, without showing the password', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, noKey);
  const answers: [RegExp, string][] = [
    [/User name/, 'admin\r'],
    [/Password/, 'correct horse\r'],
  ];
  const run = await cli.run(['login'], {
    columns: 80,
    onOutput: ({ stderr }, type) => {
      const next = answers[0];
      if (!next?.[0].test(stderr)) return;
      answers.shift();
      setImmediate(() => type(next[1]));
    },
  });
  assert.equal(run.exit, 0, run.stderr);
  assert.match(run.stdout, /signed in at .* as admin, project default/);
  assert.ok(!`${run.stdout}${run.stderr}`.includes('correct horse'));
});

test('logout revokes the key that login made with a password, and forgets the profile', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, noKey);
  await cli.run(['login', '--user', 'admin', '--password-stdin'], { input: 'correct horse' });
  const run = await cli.run(['logout']);
  assert.match(run.stdout, /and revoked the API key/);
  assert.deepEqual(server.seen.at(-1)?.params, { accessKeyId: 'VKTESTTESTTESTTEST22' });
  assert.equal((await cli.run(['list'])).exit, 5);
});

test('without a terminal a password is not asked for but named as missing', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, noKey);
  const run = await cli.run(['login', '--user', 'admin']);
  assert.equal(run.exit, 2);
  assert.match(run.stderr, /Password is missing, .*\n {2}try: Give --password-stdin/);
});

test('the secret of a profile is sent to no other server', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, noKey);
  await cli.run(['login', '--access-key-id', 'VKTESTTESTTESTTEST22', '--secret-stdin'], { input: 'fresh' });
  await using other = await serveContract(cloud);
  const run = await cli.run(['list', '--server', other.url]);
  assert.equal(run.exit, 5);
  assert.match(run.stderr, /You are not signed in at/);
  assert.equal(other.seen.length, 0);
});

test('a configuration that cannot be read is named and never overwritten', async () => {
  await using cli = await captureCli('http://127.0.0.1:1', noKey);
  const folder = join(cli.home, '.config/virga');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), '{ "version": 1, "profiles": [');
  const run = await cli.run(['profiles', 'use', 'lab']);
  assert.equal(run.exit, 2);
  assert.match(run.stderr, /config\.json is not JSON\.\n {2}try: Mend it, or move it away/);
  assert.equal(await readFile(join(folder, 'config.json'), 'utf8'), '{ "version": 1, "profiles": [');
  await chmod(folder, 0o700);
});

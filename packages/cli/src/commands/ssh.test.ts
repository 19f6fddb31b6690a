import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CapturedCli, captureCli } from '@virga/testing/captured-cli';
import { aKeyPair, anInstance } from '@virga/testing/contract-examples';
import { type ContractServer, type Handlers, serveContract } from '@virga/testing/contract-server';

const nic = { ...anInstance().networkInterfaces[0]!, address: '127.0.0.1' };
const reachable = anInstance({ networkInterfaces: [nic] });
const cloud: Handlers = {
  listInstances: () => ({ items: [reachable] }),
  getInstance: () => reachable,
  listKeyPairs: () => ({ items: [aKeyPair()] }),
  importKeyPair: ({ body }) => aKeyPair({ name: body.name, publicKey: body.publicKey }),
};

/** Something that greets like an SSH server, and a program `ssh` that says what it was given and ends with 7. */
async function withGuest(server: ContractServer): Promise<{ cli: CapturedCli } & AsyncDisposable> {
  const guest = createServer((socket) => socket.end('SSH-2.0-dropbear\r\n'));
  await new Promise<void>((resolve) => guest.listen(0, '127.0.0.1', resolve));
  const port = String((guest.address() as AddressInfo).port);
  const cli = await captureCli(server.url, { VIRGA_SSH_PORT: port });
  const program = join(cli.home, 'ssh');
  await writeFile(program, '#!/bin/sh\nprintf "[%s]" "$@"\ncat\nexit 7\n');
  await chmod(program, 0o755);
  return {
    cli: {
      ...cli,
      run: (argv, options) => cli.run(argv, { ...options, env: { PATH: `${cli.home}:${process.env.PATH}` } }),
    },
    async [Symbol.asyncDispose]() {
      await cli[Symbol.asyncDispose]();
      guest.close();
    },
  };
}

test('a command runs in the guest with its own words, input and exit code', async () => {
  await using server = await serveContract(cloud);
  await using guest = await withGuest(server);
  const run = await guest.cli.run(['ssh', 'web', '--', 'sh', '-c', 'echo $HOME; exit 7'], { input: 'piped' });
  assert.equal(run.exit, 7);
  assert.match(run.stdout, /\[-l\]\[virga\]\[127\.0\.0\.1\]\[--\]\[sh\]\[-c\]\[echo \$HOME; exit 7\]piped$/);
  assert.match(run.stdout, /\[HostKeyAlias=i-00000000000000001\]/);
});

test('the private key that keys create made is the one that ssh is given', async () => {
  await using server = await serveContract(cloud);
  await using guest = await withGuest(server);
  const created = await guest.cli.run(['keys', 'create', 'laptop']);
  assert.equal(created.exit, 0, created.stderr);
  const run = await guest.cli.run(['ssh', 'web', '--print', '-o', 'json']);
  const { command } = JSON.parse(run.stdout);
  assert.deepEqual(command.slice(0, 3), ['ssh', '-i', join(guest.cli.home, '.config/virga/keys/laptop')]);
});

test('an instance that comes up is waited for', async () => {
  const states = ['pending', 'pending', 'running'] as const;
  let asked = 0;
  const now = () => ({ ...reachable, state: states[Math.min(asked++, 2)]! });
  await using server = await serveContract({
    ...cloud,
    listInstances: () => ({ items: [now()] }),
    getInstance: () => now(),
  });
  await using guest = await withGuest(server);
  assert.equal((await guest.cli.run(['ssh', 'web'])).exit, 7);
});

test('an instance that is off is refused with the command that starts it', async () => {
  const stopped = { ...reachable, state: 'stopped', desiredState: 'stopped' } as const;
  await using server = await serveContract({ ...cloud, listInstances: () => ({ items: [stopped] }) });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['ssh', 'web']);
  assert.equal(run.exit, 4);
  assert.match(run.stderr, /The instance web is in state stopped\.\n {2}try: Start it with virga start web --wait\./);
});

test('a guest that does not answer is told in time, with what was seen', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url, { VIRGA_SSH_PORT: '1' });
  const run = await cli.run(['ssh', 'web', '--timeout', '1']);
  assert.equal(run.exit, 6);
  assert.match(run.stderr, /web does not answer SSH at 127\.0\.0\.1 port 1 after 1 s \(ECONNREFUSED\)/);
});

test('a key is not made over another one, and is taken away when the server refuses it', async () => {
  await using server = await serveContract({ ...cloud, importKeyPair: undefined });
  await using cli = await captureCli(server.url);
  const refused = await cli.run(['keys', 'create', 'laptop']);
  assert.equal(refused.exit, 3);
  await using accepting = await serveContract(cloud);
  const again = await cli.run(['keys', 'create', 'laptop'], { env: { VIRGA_SERVER: accepting.url } });
  assert.equal(again.exit, 0, again.stderr);
  const twice = await cli.run(['keys', 'create', 'laptop'], { env: { VIRGA_SERVER: accepting.url } });
  assert.equal(twice.exit, 4);
  assert.match(twice.stderr, /There is a file .*keys\/laptop already\./);
});

test('a private key is never sent', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const path = join(cli.home, 'id');
  await writeFile(path, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
  const run = await cli.run(['keys', 'import', 'laptop', path]);
  assert.equal(run.exit, 2);
  assert.match(run.stderr, /is a private key; it was not sent/);
  assert.equal(server.seen.length, 0);
});

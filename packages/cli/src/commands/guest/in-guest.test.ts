// Commands that reach into a guest, against a server that keeps files of a made-up guest in memory.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { anInstance } from '@virga/testing/contract-examples';
import { type ContractServer, serveContract } from '@virga/testing/contract-server';

const base64 = (text: string) => Buffer.from(text).toString('base64');

async function withGuest(files: Map<string, { bytes: Buffer; mode: number }> = new Map()): Promise<ContractServer> {
  return serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    executeInGuest: ({ body: { command, input = '', env = {} } }) => {
      const shown = `${command.join(' ')}|${Buffer.from(input, 'base64')}|${JSON.stringify(env)}`;
      return { pid: 42, exitCode: 7, stdout: base64(shown), stderr: base64('oops\n'), truncated: true };
    },
    getGuestFileStatus: ({ query: { path } }) => {
      const file = files.get(path);
      if (file) return { kind: 'file', sizeBytes: file.bytes.length, mode: file.mode };
      const isFolder = [...files.keys()].some((name) => name.startsWith(`${path}/`));
      return { kind: isFolder ? 'directory' : 'absent', sizeBytes: null, mode: null };
    },
    readGuestFile: ({ query: { path, offset = 0, length = 1 } }) => {
      const bytes = files.get(path)!.bytes;
      return {
        data: bytes.subarray(offset, offset + length).toString('base64'),
        endOfFile: offset + length > bytes.length,
      };
    },
    writeGuestFile: ({ body: { path, offset = 0, data, mode } }) => {
      const earlier = offset === 0 ? Buffer.alloc(0) : files.get(path)!.bytes;
      assert.equal(earlier.length, offset, 'pieces come in order');
      files.set(path, {
        bytes: Buffer.concat([earlier, Buffer.from(data, 'base64')]),
        mode: mode ?? files.get(path)?.mode ?? 0o666,
      });
      return {};
    },
  });
}

test('exec keeps the outputs apart, passes on input and variables, and ends with the exit code of the command', async () => {
  await using server = await withGuest();
  await using cli = await captureCli(server.url);
  const run = await cli.run(['exec', 'web', '--env', 'A=1', '--', 'ls', '-l', '--color'], { input: 'typed' });
  assert.equal(run.exit, 7);
  assert.equal(run.stdout, 'ls -l --color|typed|{"A":"1"}');
  assert.equal(run.stderr, 'oops\nThere was more output than 1 MiB; the rest was dropped.\n');
  const json = await cli.run(['exec', '--output', 'json', '--no-input', 'web', '--', 'ls'], { input: 'typed' });
  assert.deepEqual([json.exit, JSON.parse(json.stdout).stdout], [7, base64('ls||{}')]);
  assert.equal((await cli.run(['exec', 'web', '--env', '1=2', '--', 'ls'])).exit, 2);
});

test('exec waits on for a command that takes long, and no longer than it is told to', async () => {
  const running = { pid: 42, exitCode: null, stdout: '', stderr: '', truncated: false };
  let asked = 0;
  await using server = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    executeInGuest: () => running,
    awaitGuestCommand: ({ params: { pid } }) => {
      assert.equal(pid, 42);
      asked += 1;
      return asked < 3 ? running : { ...running, exitCode: 3, stdout: base64('done') };
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['exec', 'web', '--', 'make']);
  assert.deepEqual([run.exit, run.stdout, asked], [3, 'done', 3]);
  asked = Number.NEGATIVE_INFINITY;
  const late = await cli.run(['exec', 'web', '--timeout', '1', '--', 'make']);
  assert.equal(late.exit, 8);
  assert.match(late.stderr, /goes on in the guest as process 42.*\n.*virga exec web -- kill 42/);
});

test('cp brings a file into the guest and back, whole, with its permissions, under its own name in a folder', async () => {
  const files = new Map([['/srv/other', { bytes: Buffer.from('x'), mode: 0o644 }]]);
  await using server = await withGuest(files);
  await using cli = await captureCli(server.url);
  const bytes = Buffer.alloc(1_300_000, 'virga');
  const here = join(cli.home, 'site.tar');
  writeFileSync(here, bytes);
  chmodSync(here, 0o640);
  const up = await cli.run(['cp', here, 'web:/srv']);
  assert.equal(up.exit, 0, up.stderr);
  assert.equal(up.stdout, 'web:/srv/site.tar: 1.2 MiB\n');
  assert.match(up.stderr, /100 %/);
  assert.ok(files.get('/srv/site.tar')?.bytes.equals(bytes) && files.get('/srv/site.tar')?.mode === 0o640);

  mkdirSync(join(cli.home, 'down'));
  const down = await cli.run(['cp', 'web:/srv/site.tar', join(cli.home, 'down')]);
  assert.equal(down.exit, 0, down.stderr);
  assert.ok(readFileSync(join(cli.home, 'down/site.tar')).equals(bytes));
  assert.equal(statSync(join(cli.home, 'down/site.tar')).mode & 0o777, 0o640);
});

test('cp reads from and writes to a pipe', async () => {
  const files = new Map();
  await using server = await withGuest(files);
  await using cli = await captureCli(server.url);
  assert.equal((await cli.run(['cp', '-', 'web:/root/motd'], { input: 'hello\n' })).exit, 0);
  assert.equal((await cli.run(['cp', 'web:/root/motd', '-', '--quiet'])).stdout, 'hello\n');
});

test('cp refuses what it cannot copy, says what to do, and leaves no half file', async () => {
  const files = new Map([['/srv/file', { bytes: Buffer.from('x'), mode: 0o644 }]]);
  await using server = await withGuest(files);
  await using cli = await captureCli(server.url);
  const refusals: [string[], number, RegExp][] = [
    [['cp', cli.home, 'web:/srv/'], 2, /is a directory.*\n.*tar cf - FOLDER \| virga exec/],
    [['cp', 'web:/srv', cli.home], 2, /is a directory.*\n.*tar cf/],
    [['cp', 'web:/srv/none', join(cli.home, 'none')], 3, /There is no file \/srv\/none in web/],
    [['cp', 'web:relative', '.'], 2, /is not absolute/],
    [['cp', 'web:/a', 'db:/a'], 2, /One of source and target/],
    [['cp', './a', './b'], 2, /One of source and target/],
    [['cp', '-', 'web:/srv'], 2, /is a directory/],
  ];
  for (const [argv, exit, words] of refusals) {
    const run = await cli.run(argv);
    assert.equal(run.exit, exit, `${argv.join(' ')}: ${run.stderr}`);
    assert.match(run.stderr, words);
  }
  await using failing = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    getGuestFileStatus: () => ({ kind: 'file', sizeBytes: 9, mode: 0o644 }),
    readGuestFile: () => {
      throw new VirgaError('GuestUnavailable', { detail: 'No agent.', action: 'Install one.' });
    },
  });
  await using other = await captureCli(failing.url);
  const run = await other.run(['cp', 'web:/srv/file', join(other.home, 'file')]);
  assert.equal(run.exit, 6);
  assert.throws(() => statSync(join(other.home, 'file')));
});

test('a screenshot goes to a file or a pipe, and never to a terminal', async () => {
  await using server = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    getScreenshot: () => ({ mediaType: 'image/png', data: base64('PNG') }),
  });
  await using cli = await captureCli(server.url);
  const refused = await cli.run(['screenshot', 'web'], { columns: 80 });
  assert.equal(refused.exit, 2);
  assert.match(refused.stderr, /cannot be shown on a terminal.*\n.*virga screenshot web web\.png/);
  const path = join(cli.home, 'web.png');
  assert.equal((await cli.run(['screenshot', 'web', path], { columns: 80 })).exit, 0);
  assert.equal(readFileSync(path, 'utf8'), 'PNG');
});

test('a password comes from standard input, a private key is not sent', async () => {
  const seen: unknown[] = [];
  await using server = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    setGuestPassword: ({ body }) => {
      seen.push(body);
      return {};
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['guest', 'set-password', 'web', '--password-stdin'], { input: 'correct horse\n' });
  assert.equal(run.exit, 0, run.stderr);
  assert.deepEqual(seen, [{ user: 'virga', password: 'correct horse' }]);
  const key = join(cli.home, 'id');
  writeFileSync(key, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
  assert.equal((await cli.run(['guest', 'add-key', 'web', key])).exit, 2);
});

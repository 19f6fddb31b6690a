// What programs can do that are locked away: read and write their one folder, and nothing else.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../contract-suite/eventually.ts';
import { runCommand } from '../run-command.ts';
import { giveToNobody, makeSandboxFolder, runSandboxed, type SandboxLimits } from './sandbox.ts';

let path: string;
let folder: string;
const usual: SandboxLimits = { memoryBytes: 512 * 1024 ** 2, cpuSeconds: 20, fileBytes: 1024 ** 2, timeoutMs: 30_000 };

before(async () => {
  path = await mkdtemp(join(tmpdir(), 'virga-sandbox-'));
  folder = await makeSandboxFolder(path);
});
after(() => rm(path, { recursive: true }));

const shell = (command: string, limits: Partial<SandboxLimits> = {}, signal?: AbortSignal) =>
  runSandboxed({ program: 'sh', args: ['-c', command], folder, limits: { ...usual, ...limits }, signal });

test('it is nobody, without capabilities, and can gain none', async () => {
  const { stdout, exitCode } = await shell('id -u; id -g; id -G');
  assert.deepEqual([stdout, exitCode], ['65534\n65534\n65534\n', 0]);
  const { stdout: state } = await shell('setpriv --dump');
  assert.match(state, /no_new_privs: 1/);
  assert.match(state, /Ambient capabilities: \[none\]\nCapability bounding set: \[none\]/);
});

test('it sees the programs of the host, its folder, and nothing else', async () => {
  await writeFile(join(folder, 'given'), 'content', { mode: 0o400 });
  await giveToNobody(join(folder, 'given'));
  assert.equal((await shell('cat /work/given')).stdout, 'content');
  assert.match((await shell('ls /')).stdout, /^bin\ndev\netc\n(lib\w*\n)*sbin\nusr\nwork\n$/);
  assert.notEqual((await shell(`cat ${path}/work/given`)).exitCode, 0);
  assert.notEqual((await shell('cat /etc/passwd')).exitCode, 0);
  assert.notEqual((await shell('echo x >/usr/x || echo x >/x || echo x >/work/new')).exitCode, 0);
});

test('it has no network, not even to the host itself', async () => {
  const server = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const { exitCode } = await runSandboxed({
    ...{ program: '/usr/bin/perl', folder, limits: usual },
    args: ['-MIO::Socket::INET', '-e', `exit(IO::Socket::INET->new(PeerAddr => "127.0.0.1:${port}") ? 0 : 7)`],
  });
  server.close();
  assert.equal(exitCode, 7);
});

test('it is ended with its family at its deadline, and when nobody wants it any more', async () => {
  const { isTimedOut } = await shell('sleep 600 & sleep 600', { timeoutMs: 300 });
  assert.ok(isTimedOut);
  const abort = new AbortController();
  const running = shell('sleep 600 & sleep 600', {}, abort.signal);
  abort.abort(new Error('enough'));
  await assert.rejects(running, /enough/);
});

test('memory, time and what it writes have limits', async () => {
  const greedy = ['-e', '$x = "x" x (1 << 30); print length $x'];
  const memory = await runSandboxed({
    program: '/usr/bin/perl',
    args: greedy,
    folder,
    limits: { ...usual, memoryBytes: 256 * 1024 ** 2 },
  });
  assert.notEqual(memory.exitCode, 0);
  const time = await shell('while :; do :; done', { cpuSeconds: 1 });
  assert.equal(time.isTimedOut, false);
  assert.notEqual(time.exitCode, 0);
  const target = join(folder, 'target');
  await writeFile(target, '', { mode: 0o600 });
  await giveToNobody(target);
  assert.notEqual((await shell('head -c 4000000 /usr/bin/perl >/work/target')).exitCode, 0);
  assert.equal((await readFile(target)).length, usual.fileBytes);
});

test('it ends with the process that began it, however that ends', async () => {
  // A time that nobody else sleeps for.
  const sleeping = ['sleep', '617.25'];
  const module = JSON.stringify(import.meta.resolve('./sandbox.ts'));
  const limits = { ...usual, timeoutMs: 600_000 };
  const run = JSON.stringify({ program: sleeping[0], args: sleeping.slice(1), folder, limits });
  const script = `import(${module}).then((it) => it.runSandboxed(${run}))`;
  const child = spawn(process.execPath, ['--conditions=development', '--input-type=module', '-e', script]);
  const isRunning = () =>
    readdirSync('/proc').some((pid) => {
      try {
        return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `${sleeping.join('\0')}\0`;
      } catch {
        return false;
      }
    });
  await eventually('it sleeps', () => isRunning() || undefined);
  child.kill('SIGKILL');
  await eventually('it has ended', () => !isRunning() || undefined);
});

test('where the kernel does not allow it, nothing is run, and that is said', async () => {
  const module = JSON.stringify(import.meta.resolve('./sandbox.ts'));
  const run = JSON.stringify({ program: 'true', args: [], folder, limits: usual });
  const script = `import(${module}).then((it) => it.runSandboxed(${run})).then(console.log, (error) => console.log(error.code, error.detail))`;
  const node = [process.execPath, '--conditions=development', '--input-type=module', '-e', script];
  const said = await runCommand('setpriv', ['--bounding-set=-sys_admin', '--', ...node]);
  assert.match(said, /^HostIncapable The host cannot lock away .*: unshare: /);
});

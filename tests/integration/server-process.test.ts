// The server as a process: what it refuses, what it does without libvirtd, how it stops, and what a SIGKILL leaves.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Client, createClient } from '@virga/contract/client';
import { startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';

const virga = join(import.meta.dirname, '../../bin/virga');

type Server = { child: ChildProcess; stderr: () => string; state: string; url: () => string; client: () => Client };

function freshState(): string {
  const folder = mkdtempSync(join(tmpdir(), 'server-'));
  chmodSync(folder, 0o711);
  return join(folder, 'state');
}

/** Starts a server; answers before it serves. */
function start(t: TestContext, state: string, ...args: string[]): Server {
  const child = spawn(virga, ['server', '--state', state, '--listen', '127.0.0.1:0', '--output', 'json', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
  const url = () => read(join(state, 'run/server.json')).url as string;
  const client = () => createClient({ ...read(join(state, 'administrator.json')), server: url() });
  return { child, stderr: () => text, state, url, client };
}

async function serving(server: Server): Promise<Server> {
  await until('the server serves', () => {
    assert.equal(server.child.exitCode, null, server.stderr());
    return existsSync(join(server.state, 'run/server.json')) && server.stderr().includes('serving at');
  });
  return server;
}

/** What a server that does not start says, and with which code it ends. */
async function refusal(server: Server): Promise<{ exit: number | null; code: string; detail: string; action: string }> {
  const [exit] = await once(server.child, 'close');
  const text = server.stderr();
  return { exit, ...JSON.parse(text.slice(text.lastIndexOf('\n{') + 1)) };
}

const postmaster = (state: string) => join(state, 'database/postmaster.pid');

test('without libvirtd it serves, says of its host what to do, and goes on by itself when libvirtd is there', async (t) => {
  const server = await serving(start(t, freshState()));
  const client = server.client();
  assert.equal((await client.getHealth()).status, 'ok');
  const host = await until('the host is known to be unreachable', async () => {
    const [found] = (await client.listHosts({ query: {} })).items;
    return found?.state === 'unreachable' && found.stateReason !== null && found;
  });
  assert.match(host.stateReason ?? '', /libvirt/);

  const hypervisor = await startHypervisor();
  t.after(() => hypervisor.close());
  await until('the host is ready', async () => (await client.listHosts({ query: {} })).items[0]?.state === 'ready');
});

test('its secrets are readable by root only, and its database is stopped with it', async (t) => {
  const server = await serving(start(t, freshState()));
  for (const name of ['administrator.json', 'seal.key']) {
    assert.equal(statSync(join(server.state, name)).mode & 0o077, 0, name);
  }
  assert.equal(existsSync(postmaster(server.state)), true);
  server.child.kill('SIGTERM');
  const [exit] = await once(server.child, 'exit');
  assert.equal(exit, 0, server.stderr());
  assert.equal(existsSync(postmaster(server.state)), false);
  assert.equal(existsSync(join(server.state, 'run/server.json')), false);
});

test('a server that was killed leaves its database, and the next one adopts it with all there was', async (t) => {
  const state = freshState();
  const first = await serving(start(t, state));
  await first.client().createProject({ body: { name: 'kept' } });
  const before = readFileSync(postmaster(state), 'utf8');
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');

  const second = await serving(start(t, state));
  assert.equal(readFileSync(postmaster(state), 'utf8').split('\n')[0], before.split('\n')[0]);
  assert.match(second.stderr(), /took over the database/);
  const names = (await second.client().listProjects({ query: {} })).items.map(({ name }) => name);
  assert.ok(names.includes('kept'), names.join());
});

test('a second server on the same folder is refused, and the first goes on', async (t) => {
  const first = await serving(start(t, freshState()));
  const { exit, code, detail } = await refusal(start(t, first.state));
  assert.deepEqual([exit, code], [4, 'Conflict']);
  assert.match(detail, new RegExp(`process ${first.child.pid}\\b`));
  assert.equal((await first.client().getHealth()).status, 'ok');
});

test('a port that is in use is refused before anything is made', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  const { port } = other.address() as { port: number };
  const state = freshState();
  const { exit, code, action } = await refusal(start(t, state, '--listen', `127.0.0.1:${port}`));
  assert.deepEqual([exit, code], [6, 'PortInUse']);
  assert.match(action, /--port or --listen/);
  assert.equal(existsSync(join(state, 'database')), false);
});

test('who is not root is refused', async (t) => {
  const child = spawn(
    'setpriv',
    ['--reuid=65534', '--regid=65534', '--clear-groups', virga, 'server', '--output', 'json'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: '/nonexistent' },
    },
  );
  let text = '';
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  t.after(() => child.kill());
  const [exit] = await once(child, 'close');
  assert.equal(exit, 5, text);
  assert.equal(JSON.parse(text).code, 'Forbidden');
});

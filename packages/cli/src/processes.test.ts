// What only a process of its own shows: signals, and readers that go away.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { anEvent, anInstance, anOperation } from '@virga/testing/contract-examples';
import { type ContractServer, serveContract } from '@virga/testing/contract-server';
import { installCli } from '@virga/testing/installed-cli';

let folder: string;
let program: string;
let server: ContractServer;
const waiting: (() => void)[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-process-'));
  program = await installCli(folder);
  server = await serveContract({
    listInstances: ({ query }) => ({
      items: query.name ? [anInstance()] : Array.from({ length: 900 }, () => anInstance()),
    }),
    startInstance: () => ({ instance: anInstance(), operationId: anOperation().id }),
    getOperation: () => {
      for (const told of waiting.splice(0)) told();
      return anOperation({ state: 'running', progressPercent: 10, message: 'starting' });
    },
    followEvents(_args, response) {
      const timer = setInterval(() => response.write(`data: ${JSON.stringify(anEvent())}\n\n`), 10);
      response.on('close', () => clearInterval(timer));
    },
  });
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function start(...argv: string[]): ChildProcess & { said: () => string } {
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    VIRGA_SERVER: server.url,
    VIRGA_ACCESS_KEY_ID: 'VKTESTTESTTESTTEST22',
    VIRGA_SECRET_ACCESS_KEY: 's',
  };
  const child = spawn(program, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  return Object.assign(child, { said: () => stderr });
}

test('a reader that goes away ends a long list quietly', async () => {
  const child = start('list', '--output', 'json');
  await once(child.stdout!, 'data');
  child.stdout?.destroy();
  const [exit, signal] = await once(child, 'close');
  assert.deepEqual([exit, signal, child.said()], [0, null, '']);
});

test('a reader that goes away ends what would never end', async () => {
  const child = start('events', '--follow', '--quiet');
  await once(child.stdout!, 'data');
  child.stdout?.destroy();
  const [exit, signal] = await once(child, 'close');
  assert.deepEqual([exit, signal, child.said()], [0, null, '']);
});

test('Ctrl-C ends the wait with 130, and says how to go on with it', async () => {
  const asked = new Promise<void>((resolve) => waiting.push(resolve));
  const child = start('start', 'web', '--wait');
  await asked;
  child.kill('SIGINT');
  const [exit] = await once(child, 'close');
  assert.equal(exit, 130);
  assert.match(child.said(), /goes on; follow with: virga operations wait op-/);
});

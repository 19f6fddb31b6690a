import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { anInstance } from '@virga/testing/contract-examples';
import { type ContractServer, serveContract } from '@virga/testing/contract-server';
import { WebSocketServer } from 'ws';

/** A cloud whose screen answers in upper case, and whose tickets are good once. */
async function withScreen(): Promise<ContractServer & { tickets: Set<string> }> {
  const tickets = new Set<string>();
  const server = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    createConsoleTicket: ({ body: { kind } }) => {
      assert.equal(kind, 'vnc');
      const ticket = `T${tickets.size}`;
      tickets.add(ticket);
      return { ticket, path: `/v1/consoles?ticket=${ticket}`, expiresAt: '2026-03-01T14:00:30.000Z' };
    },
  });
  new WebSocketServer({ server: server.http, path: '/v1/consoles' }).on('connection', (socket, request) => {
    const ticket = new URL(request.url ?? '', 'http://server').searchParams.get('ticket');
    socket.send(Buffer.from(`RFB ${ticket} ${socket.protocol}\n`));
    socket.on('message', (data) => socket.send(Buffer.from(String(data).toUpperCase())));
  });
  return Object.assign(server, { tickets });
}

async function hears(socket: ReturnType<typeof connect>, words: string): Promise<void> {
  let heard = '';
  while (!heard.includes(words)) heard += ((await once(socket, 'data')) as [Buffer])[0];
}

test('a viewer of this machine sees the screen, each with a ticket of its own, one at a time', async () => {
  await using server = await withScreen();
  await using cli = await captureCli(server.url);
  const stop = new AbortController();
  const address = Promise.withResolvers<string>();
  const running = cli.run(['vnc', 'web'], {
    interrupt: stop.signal,
    onOutput: ({ stdout }) => {
      if (stdout.includes('\n')) address.resolve(stdout.trim());
    },
  });
  const { hostname, port } = new URL(await address.promise);
  assert.equal(hostname, '127.0.0.1');
  const first = connect(Number(port), hostname);
  await hears(first, 'RFB T0 binary');
  first.write('hello');
  await hears(first, 'HELLO');
  const second = connect(Number(port), hostname).on('error', () => undefined);
  second.resume();
  await once(second, 'close');
  first.destroy();
  for (;;) {
    const third = connect(Number(port), hostname).on('error', () => undefined);
    const [told] = (await Promise.race([once(third, 'data'), once(third, 'close')])) as [Buffer | boolean];
    third.destroy();
    if (Buffer.isBuffer(told) && told.includes('RFB T1')) break;
  }
  stop.abort();
  const run = await running;
  assert.deepEqual([run.exit, server.tickets.size], [130, 2]);
});

test('a unix socket is for this user only, and --once ends with the first viewer', async () => {
  await using server = await withScreen();
  await using cli = await captureCli(server.url);
  const path = join(cli.home, 'web.sock');
  const listening = Promise.withResolvers<void>();
  const running = cli.run(['vnc', 'web', '--socket', path, '--once'], {
    onOutput: ({ stdout }) => {
      if (stdout.includes('\n')) listening.resolve();
    },
  });
  await listening.promise;
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const viewer = connect(path);
  await hears(viewer, 'RFB T0');
  viewer.destroy();
  assert.equal((await running).exit, 0);
  assert.throws(() => statSync(path));
});

test('--viewer starts a viewer that is installed, and ends with it; without one it says what to install', async () => {
  await using server = await withScreen();
  await using cli = await captureCli(server.url);
  const missing = await cli.run(['vnc', 'web', '--viewer'], { env: { PATH: cli.home } });
  assert.equal(missing.exit, 2);
  assert.match(missing.stderr, /None of the viewers.*\n.*virt-viewer/);
  const viewer = join(cli.home, 'vncviewer');
  const seen = join(cli.home, 'seen');
  writeFileSync(viewer, `#!/bin/sh\necho "$1" > ${seen}\n`);
  chmodSync(viewer, 0o755);
  const run = await cli.run(['vnc', 'web', '--viewer'], { env: { PATH: cli.home } });
  assert.equal(run.exit, 0, run.stderr);
  const { readFileSync } = await import('node:fs');
  assert.match(readFileSync(seen, 'utf8'), /^127\.0\.0\.1::\d+\n$/);
});

test('a screen that the server refuses ends the command with its words', async () => {
  await using server = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    createConsoleTicket: () => {
      throw new VirgaError('Forbidden', { detail: 'You may not.', action: 'Ask.' });
    },
  });
  await using cli = await captureCli(server.url);
  let isConnected = false;
  const run = await cli.run(['vnc', 'web'], {
    onOutput: ({ stdout }) => {
      if (isConnected || !stdout.includes('\n')) return;
      isConnected = true;
      const { hostname, port } = new URL(stdout.trim());
      connect(Number(port), hostname).on('error', () => undefined);
    },
  });
  assert.equal(run.exit, 5);
});

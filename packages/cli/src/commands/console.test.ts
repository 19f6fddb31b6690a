import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureCli } from '@virga/testing/captured-cli';
import { anInstance } from '@virga/testing/contract-examples';
import { type ContractServer, serveContract } from '@virga/testing/contract-server';
import { type WebSocket, WebSocketServer } from 'ws';

/** A cloud whose guest says `login: ` and answers what is typed in upper case. */
async function withConsole(guest: (socket: WebSocket) => void = upperCase): Promise<ContractServer> {
  const server = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    getConsoleLog: () => ({ text: 'booted\u001b[2J\r\n', truncated: false }),
  });
  new WebSocketServer({ server: server.http, path: `/v1/instances/${anInstance().id}/console` }).on(
    'connection',
    guest,
  );
  return server;
}

function upperCase(socket: WebSocket): void {
  socket.send(Buffer.from('login: '));
  socket.on('message', (data) => socket.send(Buffer.from(String(data).toUpperCase())));
}

test('at a terminal the log comes first, keys go to the guest, and Ctrl-] leaves', async () => {
  await using server = await withConsole();
  await using cli = await captureCli(server.url);
  const keys = ['roo', 't\u0003', '\u001dnot sent'];
  const run = await cli.run(['console', 'web'], {
    columns: 80,
    onOutput: ({ stdout }, type) => {
      const due = ['login: ', 'login: ROO', 'login: ROOT\u0003'][3 - keys.length];
      if (due && stdout.endsWith(due)) type(keys.shift()!);
    },
  });
  assert.equal(run.exit, 0, run.stderr);
  assert.equal(run.stdout, 'booted\nlogin: ROOT\u0003');
  assert.deepEqual(run.rawModes, [true, false], 'the terminal was not put back');
  assert.match(run.stderr, /^Connected to web\. Leave with Ctrl-\]\.\n\nLeft the console\.\n$/);
});

test('piped input is typed, and --until ends it', async () => {
  await using server = await withConsole();
  await using cli = await captureCli(server.url);
  const run = await cli.run(['console', 'web', '--until', 'REBOOT'], { input: 'reboot\n' });
  assert.equal(run.exit, 0, run.stderr);
  assert.match(run.stdout, /login: REBOOT/);
});

test('--until that never comes is a failure after --timeout', async () => {
  await using server = await withConsole();
  await using cli = await captureCli(server.url);
  const run = await cli.run(['console', 'web', '--until', 'never', '--timeout', '1']);
  assert.equal(run.exit, 8);
  assert.match(run.stderr, /The console of web did not print "never" in time/);
});

test('a console that the guest closes is left', async () => {
  await using server = await withConsole((socket) => socket.close());
  await using cli = await captureCli(server.url);
  const run = await cli.run(['console', 'web'], { columns: 80 });
  assert.equal(run.exit, 0);
  assert.match(run.stderr, /The console was closed\./);
});

test('a server that refuses the console says why', async () => {
  await using server = await serveContract({ listInstances: () => ({ items: [anInstance()] }) });
  server.http.on('upgrade', (_request, socket) => {
    const body = JSON.stringify({ code: 'Conflict', detail: 'web is stopped.', action: 'Start it.' });
    socket.end(
      `HTTP/1.1 409 Conflict\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['console', 'web']);
  assert.equal(run.exit, 4);
  assert.match(run.stderr, /^error: web is stopped\.\n {2}try: Start it\.\n$/);
});

test('the log is followed until Ctrl-C, and what was seen is not printed twice', async () => {
  const interrupt = new AbortController();
  const logs = ['one\n', 'one\n', 'one\ntwo\n'];
  await using server = await serveContract({
    listInstances: () => ({ items: [anInstance()] }),
    getConsoleLog: () => ({ text: logs.length > 1 ? logs.shift()! : logs[0]!, truncated: false }),
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['log', 'web', '--follow'], {
    interrupt: interrupt.signal,
    onOutput: ({ stdout }) => {
      if (stdout.includes('two')) interrupt.abort();
    },
  });
  assert.deepEqual(run, { exit: 130, stdout: 'one\ntwo\n', stderr: '' });
});

test('what a guest printed cannot steer the terminal of who reads its log, but a pipe gets every byte', async () => {
  await using server = await withConsole();
  await using cli = await captureCli(server.url);
  assert.equal((await cli.run(['log', 'web'], { columns: 80 })).stdout, 'booted\n');
  assert.equal((await cli.run(['log', 'web'])).stdout, 'booted\u001b[2J\r\n');
});

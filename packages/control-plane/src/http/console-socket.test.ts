import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import websocket from '@fastify/websocket';
import { until } from '@virga/testing/until';
import { fastify } from 'fastify';
import { joinConsole } from './console-socket.ts';

/** A console that never gives more than it is asked for, and takes no more than it is let. */
class FakeConsole extends Duplex {
  readonly written: Buffer[] = [];
  readonly taken: (() => void)[] = [];
  readonly size: number;
  pulled = 0;
  constructor(size = 0) {
    super({ writableHighWaterMark: 1024 });
    this.size = size;
  }
  override _read(): void {
    if (this.pulled >= this.size) return;
    this.pulled += 65_536;
    this.push(Buffer.alloc(65_536, 1));
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    this.taken.push(done);
  }
}

async function listen(stream: Duplex) {
  const app = fastify();
  const closing = new AbortController();
  await app.register(websocket, { preClose: (done) => done() });
  app.get('/', { websocket: true }, (socket) => joinConsole(socket, stream, closing.signal));
  await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    port: (app.server.address() as AddressInfo).port,
    closing,
    async [Symbol.asyncDispose]() {
      closing.abort();
      stream.destroy();
      await app.close();
    },
  };
}

/** With a client that is connected. */
async function serve(stream: Duplex) {
  const server = await listen(stream);
  const client = new WebSocket(`ws://127.0.0.1:${server.port}/`);
  client.binaryType = 'arraybuffer';
  await once(client, 'open');
  return { ...server, client };
}

const closeOf = async (client: WebSocket) => ((await once(client, 'close')) as [CloseEvent])[0];

test('bytes go both ways as binary messages', async () => {
  const stream = new FakeConsole();
  await using server = await serve(stream);
  const message = once(server.client, 'message') as Promise<[MessageEvent]>;
  stream.push(Buffer.from('login: '));
  assert.equal(Buffer.from((await message)[0].data).toString(), 'login: ');
  server.client.send(Buffer.from([0, 255, 13]));
  await until('the console got it', () => stream.written.length > 0);
  assert.deepEqual(stream.written[0], Buffer.from([0, 255, 13]));
});

test('a console that does not take more input stops the client, and goes on when it does', async () => {
  const stream = new FakeConsole();
  await using server = await serve(stream);
  const total = 64 * 1024 * 1024;
  const piece = Buffer.alloc(65_536);
  for (let sent = 0; sent < total; sent += piece.length) server.client.send(piece);
  await until('the console got the first piece', () => stream.taken.length > 0);
  assert.ok(stream.writableLength < 1024 * 1024, 'the server has not taken in what the console does not want');
  assert.ok(server.client.bufferedAmount > total / 4, 'the rest waits at the client');
  const drained = until(
    'everything has arrived',
    () => {
      for (const done of stream.taken.splice(0)) done();
      return stream.written.reduce((sum, chunk) => sum + chunk.length, 0) === total;
    },
    { intervalMs: 0 },
  );
  await drained;
});

test('a client that does not read stops the console', async () => {
  const stream = new FakeConsole(1024 ** 3);
  await using server = await listen(stream);
  // A WebSocket reads by itself; this client reads nothing once it is connected.
  const client = connect(server.port, '127.0.0.1');
  const key = Buffer.alloc(16).toString('base64');
  const headers = [
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    `sec-websocket-key: ${key}`,
  ];
  client.write(['GET / HTTP/1.1', 'host: 127.0.0.1', ...headers, '', ''].join('\r\n'));
  client.once('data', () => client.pause());
  let last = 0;
  await until('the console has been stopped', () => {
    const isStopped = stream.pulled > 0 && stream.pulled === last;
    last = stream.pulled;
    return isStopped;
  });
  assert.ok(stream.pulled < 1024 ** 3, `${stream.pulled} bytes were pulled`);
  client.destroy();
});

test('the end of the console is the end of the connection, and says so', async () => {
  const stream = new FakeConsole();
  await using server = await serve(stream);
  const closed = closeOf(server.client);
  stream.push(null);
  assert.deepEqual([(await closed).code, (await closed).reason], [1000, 'the console has ended']);
});

test('a console that breaks is told as broken', async () => {
  const stream = new FakeConsole();
  await using server = await serve(stream);
  const closed = closeOf(server.client);
  stream.destroy(new Error('the host has gone'));
  assert.equal((await closed).code, 1011);
});

test('a client that goes lets go of the console', async () => {
  const stream = new FakeConsole();
  await using server = await serve(stream);
  server.client.close();
  await until('the console is closed', () => stream.destroyed);
});

test('a server that closes says goodbye to its clients', async () => {
  const stream = new FakeConsole();
  await using server = await serve(stream);
  const closed = closeOf(server.client);
  server.closing.abort();
  assert.equal((await closed).code, 1001);
});

// Events from a server that floods, breaks them or goes away in their middle.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ProtocolError } from '../errors.ts';
import { domain } from '../protocol/objects.ts';
import { type Behaviour, encoded, fakeServers, frame, words } from '../testing/fake-server.ts';
import { remoteProgram } from '../wire/message.ts';

const getHostname = 59;
const servers = fakeServers();
const connectTo = servers.connectTo;

after(() => servers.close());

const domainBytes = (name: string): Buffer =>
  encoded((writer) => domain.encode(writer, { name, uuid: '0'.repeat(32), id: 1 }));
const hostnameBytes = (name: string): Buffer => encoded((writer) => writer.string(name, 1000));
const lifecycleMessage = 318;
const lifecycle = (detail: number): Buffer => Buffer.concat([words(1), domainBytes('flood'), words(5, detail)]);

/** Sends `count` events when the call for the host name comes, then answers it. */
const floodEvents =
  (count: number): Behaviour =>
  (message, peer) => {
    if (message.procedure === 316) peer.reply(message, words(1));
    else if (message.procedure === 317) peer.reply(message);
    else if (message.procedure === getHostname) {
      for (let i = 0; i < count; i++) peer.event(lifecycleMessage, lifecycle(i % 7));
      peer.reply(message, hostnameBytes('h'));
    } else return false;
    return true;
  };

test('a flood of events reaches a listener whole and in order, before the answer that came after it', async () => {
  const connection = await connectTo(floodEvents(20_000));
  let count = 0;
  await connection.domains.on('lifecycle', () => count++);
  await connection.node.hostname();
  assert.equal(count, 20_000);
});

test('a slow reader of events keeps what fits and is told that the rest was dropped', async () => {
  const connection = await connectTo(floodEvents(20_000));
  const events = connection.domains.events(['lifecycle'], { capacity: 100 });
  const first = events.next();
  await connection.node.hostname();
  await first;
  let seen = 1;
  await assert.rejects(
    async () => {
      for await (const _ of events) seen++;
    },
    { name: 'EventsDropped' },
  );
  assert.ok(seen >= 100 && seen <= 101, `${seen}`);
  assert.equal(await connection.node.hostname(), 'h');
});

test('an event that cannot be read ends the connection', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== 316) return false;
    peer.reply(message, words(1));
    peer.event(lifecycleMessage, words(1, 0xffff_ffff));
    return true;
  });
  await connection.domains.on('lifecycle', () => undefined);
  assert.ok((await connection.closed) instanceof ProtocolError);
});

test('an iterator over events ends with the loss of the connection', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== 316) return false;
    peer.reply(message, words(1));
    setImmediate(() => peer.socket.destroy());
    return true;
  });
  await assert.rejects(connection.domains.events(['lifecycle']).next(), /closed the connection/);
});

test('a flood of events that nobody reads takes no more memory than the queue may hold', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const inUse = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const event = frame(remoteProgram, lifecycleMessage, 2, 0, 0, lifecycle(0));
  const thousand = Buffer.concat(Array.from({ length: 1000 }, () => event));
  const connection = await connectTo((message, peer) => {
    if (message.procedure === 316) peer.reply(message, words(1));
    else if (message.procedure === 317) peer.reply(message);
    else if (message.procedure === getHostname) {
      let left = 500;
      const send = (): void => {
        while (left-- > 0) if (!peer.socket.write(thousand)) return void peer.socket.once('drain', send);
        peer.reply(message, hostnameBytes('h'));
      };
      send();
    } else return false;
    return true;
  });
  const events = connection.domains.events(['lifecycle'], { capacity: 100 });
  const first = events.next();
  await connection.node.hostname();
  await first;
  const before = inUse();
  for (let i = 0; i < 3; i++) await connection.node.hostname();
  const grownBytes = inUse() - before;
  assert.ok(grownBytes < 2 ** 20, `${grownBytes} bytes more after 1,500,000 more events`);
  await assert.rejects(
    async () => {
      for await (const _ of events);
    },
    { name: 'EventsDropped' },
  );
});

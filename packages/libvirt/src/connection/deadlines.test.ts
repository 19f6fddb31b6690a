// Servers that are late or silent: calls and connections end at their deadlines, and say what that means.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { CallTimeout, ConnectionLost } from '../errors.ts';
import { domain } from '../protocol/objects.ts';
import { encoded, fakeServers, frame, startFakeServer } from '../testing/fake-server.ts';
import { remoteProgram } from '../wire/message.ts';
import { connect } from './connect.ts';

const lookupByName = 23;
const getHostname = 59;
const servers = fakeServers();
const connectTo = servers.connectTo;

after(() => servers.close());

const domainBytes = (name: string): Buffer =>
  encoded((writer) => domain.encode(writer, { name, uuid: '0'.repeat(32), id: 1 }));
const hostnameBytes = (name: string): Buffer => encoded((writer) => writer.string(name, 1000));

test('a call that is never answered ends at its deadline, and its late answer disturbs nobody', async () => {
  let answerLate = (): void => undefined;
  const connection = await connectTo((message, peer) => {
    if (message.procedure === getHostname) answerLate = () => peer.reply(message, hostnameBytes('late'));
    else if (message.procedure === lookupByName) peer.reply(message, domainBytes('x'));
    else return false;
    return true;
  });
  const error = await connection.node.hostname({ timeoutMs: 20 }).catch((caught: unknown) => caught);
  assert.ok(error instanceof CallTimeout);
  assert.equal(error.procedure, 'connectGetHostname');
  assert.equal(error.timeoutMs, 20);
  assert.equal(error.sent, true);
  answerLate();
  assert.equal((await connection.domains.lookupByName('x')).name, 'x');
});

test('calls behind five unanswered ones time out unsent, and go on when one is answered', async () => {
  const held: (() => void)[] = [];
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== getHostname) return false;
    held.push(() => peer.reply(message, hostnameBytes('h')));
    return true;
  });
  const first = Array.from({ length: 5 }, () => connection.node.hostname());
  await assert.rejects(connection.node.hostname({ timeoutMs: 20 }), { name: 'CallTimeout', sent: false });
  const sixth = connection.node.hostname();
  assert.equal(held.length, 5);
  held.shift()?.();
  await first.shift();
  while (held.length < 5) await new Promise((resolve) => setImmediate(resolve));
  for (const answer of held) answer();
  assert.equal(await sixth, 'h');
  await Promise.all(first);
});

test('a call can be given up, before and after it was sent', async () => {
  const connection = await connectTo((message) => message.procedure === getHostname);
  const abort = new AbortController();
  const call = connection.node.hostname({ signal: abort.signal });
  const reason = new Error('no longer needed');
  abort.abort(reason);
  await assert.rejects(call, reason);
  await assert.rejects(connection.node.hostname({ signal: abort.signal }), reason);
});

test('a silent server is taken for dead after the pings are used up', async () => {
  let pings = 0;
  const connection = await connectTo(
    ({ program, procedure }) => {
      if (program === remoteProgram) return procedure === getHostname;
      pings++;
      return true;
    },
    { keepalive: { intervalMs: 10, count: 3 } },
  );
  const call = connection.node.hostname().catch((error: unknown) => error);
  const closed = await connection.closed;
  assert.match(closed?.message ?? '', /did not answer for 40 ms/);
  assert.equal(pings, 3);
  assert.ok((await call) instanceof ConnectionLost);
});

test('a server that answers pings lives on, and its own pings are answered', async () => {
  let pings = 0;
  let pongs = 0;
  const enough = Promise.withResolvers<void>();
  const connection = await connectTo(
    ({ program, procedure }, peer) => {
      if (program === remoteProgram) return false;
      if (procedure === 2) pongs++;
      else {
        pings++;
        peer.socket.write(frame(program, 2, 2, 0, 0));
        peer.socket.write(frame(program, 1, 2, 0, 0));
      }
      if (pings > 5 && pongs > 5) enough.resolve();
      return true;
    },
    { keepalive: { intervalMs: 5, count: 2 } },
  );
  await enough.promise;
  await connection.close();
  assert.equal(await connection.closed, undefined);
});

test('a server that floods pings and never reads is cut off', async () => {
  const ping = frame(0x6b656570, 1, 2, 0, 0);
  const flood = Buffer.concat(Array.from({ length: 20_000 }, () => ping));
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== getHostname) return false;
    peer.socket.pause();
    const send = (): void => {
      while (!peer.socket.destroyed && peer.socket.write(flood));
      peer.socket.once('drain', send);
    };
    send();
    return true;
  });
  await assert.rejects(connection.node.hostname(), ConnectionLost);
  assert.match((await connection.closed)?.message ?? '', /does not read/);
});

test('a server that never answers while connecting is given up in time, or when told to', async () => {
  await using server = await startFakeServer(() => true);
  const transport = { kind: 'unix', path: server.path } as const;
  await assert.rejects(connect({ transport, connectTimeoutMs: 20 }), { name: 'ConnectFailed', reason: 'TIMEOUT' });
  const reason = new Error('changed my mind');
  await assert.rejects(connect({ transport, signal: AbortSignal.abort(reason) }), reason);
  const abort = new AbortController();
  const pending = connect({ transport, signal: abort.signal });
  setImmediate(() => abort.abort(reason));
  await assert.rejects(pending, reason);
});

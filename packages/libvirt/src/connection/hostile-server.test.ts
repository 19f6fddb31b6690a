// What a broken or hostile server can do to a client: everything ends in a typed error, in time, with bounded memory.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { CallTimeout, ConnectFailed, ConnectionLost, LibvirtError, ProtocolError } from '../errors.ts';
import { domain, remoteError } from '../protocol/objects.ts';
import { type Behaviour, encoded, frame, oversizedLength, startFakeServer, words } from '../testing/fake-server.ts';
import { remoteProgram } from '../wire/message.ts';
import { list } from '../xdr/schema.ts';
import { type Connection, type ConnectOptions, connect } from './connect.ts';

const close = 2;
const lookupByName = 23;
const getHostname = 59;
const listAllDomains = 273;
const open: AsyncDisposable[] = [];

after(async () => {
  for (const resource of open.reverse()) await resource[Symbol.asyncDispose]();
});

async function connectTo(behaviour: Behaviour, options: ConnectOptions = {}): Promise<Connection> {
  const server = await startFakeServer(behaviour);
  open.push(server);
  const connection = await connect({ transport: { kind: 'unix', path: server.path }, ...options });
  open.push(connection);
  return connection;
}

const domainBytes = (name: string): Buffer =>
  encoded((writer) => domain.encode(writer, { name, uuid: '0'.repeat(32), id: 1 }));
const hostnameBytes = (name: string): Buffer => encoded((writer) => writer.string(name, 1000));

/** What the call fails with, and what the connection then ends with. */
async function failure(behaviour: Behaviour): Promise<{ call: unknown; closed: Error | undefined }> {
  const connection = await connectTo(behaviour);
  const call = await connection.node.hostname().catch((error: unknown) => error);
  return { call, closed: await connection.closed };
}

test('answers in any order reach their own calls', async () => {
  const waiting: (() => void)[] = [];
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== lookupByName) return false;
    const name = message.payload.toString('utf8', 4, 4 + message.payload.readUInt32BE(0));
    waiting.push(() => peer.reply(message, domainBytes(name)));
    if (waiting.length === 5) for (const answer of waiting.splice(0).reverse()) answer();
    return true;
  });
  const names = ['a', 'b', 'c', 'd', 'e'];
  const answers = await Promise.all(names.map((name) => connection.domains.lookupByName(name)));
  assert.deepEqual(
    answers.map(({ name }) => name),
    names,
  );
});

test('an answer that comes byte by byte is an answer', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== getHostname) return false;
    const bytes = frame(message.program, message.procedure, 1, message.serial, 0, hostnameBytes('slow'));
    let at = 0;
    const next = (): void => {
      if (at < bytes.length) peer.socket.write(bytes.subarray(at, ++at), () => setImmediate(next));
    };
    next();
    return true;
  });
  assert.equal(await connection.node.hostname(), 'slow');
});

test('an answer that is cut short or too long fails its call, and the next call works', async () => {
  const payloads = [
    Buffer.alloc(0),
    words(5),
    words(0xffff_ffff),
    words(4_194_305),
    Buffer.concat([hostnameBytes('name'), words(0)]),
  ];
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== getHostname) return false;
    peer.reply(message, payloads.shift() ?? hostnameBytes('fine'));
    return true;
  });
  for (let i = payloads.length; i > 0; i--) await assert.rejects(connection.node.hostname(), ProtocolError);
  assert.equal(await connection.node.hostname(), 'fine');
});

test('a list that claims more than it holds is refused without taking memory for it', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== listAllDomains) return false;
    peer.reply(message, words(16_384, 0, 0, 0));
    return true;
  });
  await assert.rejects(connection.domains.list(), ProtocolError);
});

test('an error answer becomes a LibvirtError with all its parts; one that cannot be read a ProtocolError', async () => {
  const details = {
    code: 42,
    domain: 10,
    message: 'no such thing',
    level: 2,
    object: null,
    string1: 'one',
    string2: null,
    string3: null,
    int1: 7,
    int2: -1,
    network: null,
  };
  let sound = true;
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== getHostname) return false;
    peer.error(message, sound ? encoded((writer) => remoteError.encode(writer, details)) : words(42));
    return true;
  });
  await assert.rejects(connection.node.hostname(), {
    name: 'LibvirtError',
    message: 'no such thing',
    code: 'NO_DOMAIN',
    domain: 'QEMU',
    string1: 'one',
    int1: 7,
  });
  sound = false;
  await assert.rejects(connection.node.hostname(), ProtocolError);
});

test('a number that a newer libvirt invented reads unknown', () => {
  const details = { message: null, object: null, string1: null, string2: null, string3: null, network: null };
  const error = new LibvirtError('x', { ...details, code: 9999, domain: 9999, level: 9, int1: 0, int2: 0 });
  assert.equal(error.code, 'UNKNOWN');
  assert.equal(error.codeNumber, 9999);
  assert.equal(error.domain, 'UNKNOWN');
});

const violations: Record<string, Behaviour> = {
  'a frame that is too large': (_, peer) => peer.socket.write(words(oversizedLength)),
  'a frame that is too small': (_, peer) => peer.socket.write(words(8, 0)),
  'text of another protocol': (_, peer) => peer.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
  'an answer to a call never made': (m, peer) => peer.socket.write(frame(m.program, m.procedure, 1, 4711, 0)),
  'an answer of another procedure': (m, peer) => peer.socket.write(frame(m.program, 1, 1, m.serial, 0)),
  'an unknown program': (m, peer) => peer.socket.write(frame(0x1234, m.procedure, 1, m.serial, 0)),
  'another protocol version': (m, peer) => {
    const bytes = frame(m.program, m.procedure, 1, m.serial, 0);
    bytes.writeUInt32BE(2, 8);
    return peer.socket.write(bytes);
  },
  'a status that does not exist': (m, peer) => peer.socket.write(frame(m.program, m.procedure, 1, m.serial, 3)),
  'half an answer': (m, peer) => peer.socket.write(frame(m.program, m.procedure, 1, m.serial, 2)),
  'a call to the client': (m, peer) => peer.socket.write(frame(m.program, m.procedure, 0, 1, 0)),
};

for (const [what, behaviour] of Object.entries(violations)) {
  test(`${what} ends the connection as a violation of the protocol`, async () => {
    const { call, closed } = await failure((message, peer) => {
      if (message.procedure !== getHostname) return false;
      behaviour(message, peer);
      return true;
    });
    assert.ok(call instanceof ConnectionLost);
    assert.equal(call.sent, true);
    assert.ok(call.cause instanceof ProtocolError);
    assert.ok(closed instanceof ProtocolError);
  });
}

test('a server that goes away in the middle of an answer is a loss, and says what was sent', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== getHostname) return false;
    peer.socket.end(words(100));
    return true;
  });
  const calls = await Promise.allSettled(Array.from({ length: 7 }, () => connection.node.hostname()));
  const sent = calls.map((call) => call.status === 'rejected' && (call.reason as ConnectionLost).sent);
  assert.deepEqual(sent, [true, true, true, true, true, false, false]);
  assert.ok((await connection.closed) instanceof Error);
  await assert.rejects(connection.node.hostname(), { name: 'ConnectionLost', sent: false });
  await connection.close();
});

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

test('authentication: polkit is asked for where it is offered, SASL is refused with what to do', async () => {
  const withTypes =
    (types: number[], grants: boolean): Behaviour =>
    (message, peer) => {
      if (message.procedure === 66) peer.reply(message, words(types.length, ...types));
      else if (message.procedure === 70 && grants) peer.reply(message, words(1));
      else if (message.procedure === 70) {
        const details = { object: null, string1: null, string2: null, string3: null, network: null };
        const error = { ...details, code: 45, domain: 7, message: 'denied', level: 2, int1: 0, int2: 0 };
        peer.error(
          message,
          encoded((writer) => remoteError.encode(writer, error)),
        );
      } else return false;
      return true;
    };
  await (await connectTo(withTypes([2], true))).close();
  await assert.rejects(connectTo(withTypes([2], false)), (error) => {
    assert.ok(error instanceof ConnectFailed);
    assert.equal(error.reason, 'AUTH_DENIED');
    assert.equal((error.cause as LibvirtError).code, 'AUTH_FAILED');
    return true;
  });
  await assert.rejects(connectTo(withTypes([1], false)), { name: 'ConnectFailed', reason: 'AUTH_UNSUPPORTED' });
});

test('random bytes and randomly broken answers always end in a typed error', async () => {
  let state = 12_345;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const domains = [
    { name: 'one', uuid: '0'.repeat(32), id: 1 },
    { name: 'two', uuid: 'f'.repeat(32), id: -1 },
  ];
  const sound = Buffer.concat([encoded((writer) => list(domain, 10).encode(writer, domains)), words(2)]);
  const server = await startFakeServer((message, peer) => {
    // A client that waits for the rest of a broken answer would also wait for the answer to its good-bye.
    if (message.procedure === close) peer.socket.destroy();
    if (message.procedure !== listAllDomains) return message.procedure === close;
    const bytes = frame(message.program, message.procedure, 1, message.serial, 0, sound);
    for (let i = random(4); i >= 0; i--) bytes[random(bytes.length)] = random(256);
    if (random(4) === 0) peer.socket.end(bytes.subarray(0, random(bytes.length)));
    else peer.socket.write(bytes);
    return true;
  });
  open.push(server);
  const outcomes = new Set<string>();
  for (let i = 0; i < 300; i++) {
    const connection = await connect({ transport: { kind: 'unix', path: server.path } });
    const outcome = await connection.domains.list({ timeoutMs: 30 }).then(
      () => 'answer',
      (error: Error) => error.name,
    );
    outcomes.add(outcome);
    await connection.close();
  }
  for (const outcome of outcomes) {
    assert.ok(['answer', 'ProtocolError', 'ConnectionLost', 'CallTimeout', 'LibvirtError'].includes(outcome), outcome);
  }
  assert.ok(outcomes.has('ConnectionLost') && outcomes.has('answer'));
});

// What a broken or hostile server can do to a client: everything ends in a typed error, in time, with bounded memory.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ConnectionLost, LibvirtError, ProtocolError } from '../errors.ts';
import { domain, remoteError } from '../protocol/objects.ts';
import { type Behaviour, encoded, fakeServers, frame, oversizedLength, words } from '../testing/fake-server.ts';

const lookupByName = 23;
const getHostname = 59;
const listAllDomains = 273;
const servers = fakeServers();
const connectTo = servers.connectTo;

after(() => servers.close());

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

test('an answer that is given twice counts once, and then the server is not trusted any more', async () => {
  const connection = await connectTo((message, peer) => {
    if (message.procedure !== getHostname) return false;
    peer.reply(message, hostnameBytes('first'));
    peer.reply(message, hostnameBytes('second'));
    return true;
  });
  assert.equal(await connection.node.hostname(), 'first');
  assert.ok((await connection.closed) instanceof ProtocolError);
});

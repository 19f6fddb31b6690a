// Real answers of a real libvirtd, broken at random: whatever comes, a call ends, with an answer or a typed error, and
// nothing hangs, crashes or grows. The seed is fixed; a failure names the round, so that it can be run again.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { before, test } from 'node:test';
import * as errors from '../errors.ts';
import { domainEventKinds } from '../protocol/domain/events.ts';
import {
  connectGetAllDomainStats,
  connectListAllDomains,
  domainGetXmlDesc,
  domainLookupByName,
} from '../protocol/domain/lifecycle-calls.ts';
import { connectListAllNetworks } from '../protocol/network-calls.ts';
import { connectGetCapabilities, nodeGetCpuMap, nodeGetInfo } from '../protocol/node-calls.ts';
import { connectListAllNodeDevices } from '../protocol/node-device-calls.ts';
import type { Procedure } from '../protocol/procedure.ts';
import { authList, connectOpen } from '../protocol/session-calls.ts';
import { connectListAllStoragePools } from '../protocol/storage-calls.ts';
import { testSocketPath } from '../testing/daemon.ts';
import { frame, words } from '../testing/fake-server.ts';
import { FrameSplitter } from '../wire/frame-splitter.ts';
import { Rpc } from './rpc.ts';

const rounds = 4000;
const serialOffset = 20;
const limits = { callTimeoutMs: 60_000, slowCallTimeoutMs: 60_000, maxInFlight: 5 };

type Recorded = { procedure: Procedure<unknown, unknown>; args: unknown; answer: Buffer };
const recorded: Recorded[] = [];

const everything = { needResults: true, flags: 0 };
const question = <A, R>(procedure: Procedure<A, R>, args: A) => ({
  procedure: procedure as Procedure<unknown, unknown>,
  args,
});
const questions = [
  question(authList, undefined),
  question(connectOpen, { name: 'test:///default', flags: 0 }),
  question(nodeGetInfo, undefined),
  question(nodeGetCpuMap, { needMap: true, needOnline: true, flags: 0 }),
  question(connectGetCapabilities, undefined),
  question(connectListAllDomains, everything),
  question(connectListAllNetworks, everything),
  question(connectListAllStoragePools, everything),
  question(connectListAllNodeDevices, everything),
  question(connectGetAllDomainStats, { domains: [], stats: 0, flags: 0 }),
  question(domainGetXmlDesc, {
    domain: { name: 'test', uuid: '6695eb01-f6a4-8304-79aa-97f2502e193f', id: 1 },
    flags: 0,
  }),
  question(domainLookupByName, { name: 'no such domain' }),
];

before(async () => {
  const socket = net.connect({ path: testSocketPath });
  await once(socket, 'connect');
  let answer = Buffer.alloc(0);
  const splitter = new FrameSplitter((bytes, start, end) => {
    answer = Buffer.from(bytes.subarray(start - 4, end));
  });
  socket.on('data', (chunk) => splitter.push(chunk));
  const rpc = new Rpc(socket, limits);
  for (const { procedure, args } of questions) {
    await rpc.call(procedure, args).catch((error: unknown) => assert.ok(error instanceof errors.LibvirtError));
    recorded.push({ procedure, args, answer });
  }
  rpc.end();
  assert.ok(recorded.some(({ answer: { length } }) => length > 2000));
});

type Random = (below: number) => number;

function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const tellingWords = [0, 1, 2, 3, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x0100_0000, 65_536, 16_385];

/** One way to break a frame. The length word is mended half of the time, so that what lies behind it is read. */
function broken(whole: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(whole);
  for (let times = random(3); times >= 0; times--) {
    const at = random(bytes.length);
    const word = random(bytes.length >> 2) << 2;
    switch (random(6)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        bytes[at]! ^= 1 << random(8);
        break;
      case 2:
        bytes.writeUInt32BE(tellingWords[random(tellingWords.length)]!, Math.min(word, bytes.length - 4));
        break;
      case 3:
        bytes = bytes.subarray(0, Math.max(28, at));
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, word), bytes.subarray(random(bytes.length))]);
        break;
      default:
        bytes = Buffer.concat([bytes, Buffer.alloc(random(64), random(256))]);
    }
    if (bytes.length < 28) bytes = Buffer.concat([bytes, Buffer.alloc(28)]);
  }
  if (random(2) === 0) bytes.writeUInt32BE(bytes.length, 0);
  return bytes;
}

/** A client whose server is the test: what `send` is given arrives as it is. */
function clientOf(): { rpc: Rpc; send(bytes: Buffer): void; hangUp(): void } {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  return { rpc: new Rpc(socket, limits), send: (bytes) => socket.push(bytes), hangUp: () => socket.push(null) };
}

const known = new Set(['LibvirtError', 'ProtocolError', 'ConnectionLost']);

test(`${rounds} answers, each broken at random, end in an answer or a typed error`, async () => {
  const outcomes = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    const random = randomFrom(round);
    const { procedure, args, answer } = recorded[random(recorded.length)]!;
    const client = clientOf();
    const call = client.rpc.call(procedure, args).then(
      () => 'answer',
      (error: Error) =>
        known.has(error.name) ? error.name : Promise.reject(new Error(`round ${round}`, { cause: error })),
    );
    const sound = Buffer.from(answer);
    sound.writeUInt32BE(1, serialOffset);
    const bytes = broken(sound, random);
    const cut = random(bytes.length);
    client.send(bytes.subarray(0, cut));
    client.send(bytes.subarray(cut));
    client.hangUp();
    const outcome = await call;
    const closed = await client.rpc.closed;
    assert.ok(closed instanceof Error, `round ${round}`);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  for (const outcome of ['answer', ...known]) assert.ok((outcomes.get(outcome) ?? 0) > 20, `${outcome} is too rare`);
});

test('answers that are sound stay answers, each to its own call', async () => {
  for (const { procedure, args, answer } of recorded) {
    const client = clientOf();
    const call = client.rpc.call(procedure, args).catch((error: Error) => error.name);
    const sound = Buffer.from(answer);
    sound.writeUInt32BE(1, serialOffset);
    client.send(sound);
    const value = await call;
    assert.ok(value !== 'ProtocolError' && value !== 'ConnectionLost', procedure.name);
    client.rpc.end();
  }
});

test('an event of any kind, filled at random, is delivered or ends the connection', async () => {
  let delivered = 0;
  for (let round = 0; round < rounds / 4; round++) {
    const random = randomFrom(round);
    const kinds = Object.values(domainEventKinds);
    const kind = kinds[random(kinds.length)]!;
    const client = clientOf();
    const subscribed = client.rpc.events.subscribe<unknown>(kind, () => delivered++);
    await Promise.resolve();
    client.send(frame(kind.register.program, kind.register.number, 1, 1, 0, words(7)));
    await subscribed;
    const payload = Buffer.concat([
      words(7, 4),
      Buffer.from('name'),
      Buffer.alloc(16, 1),
      words(...Array.from({ length: random(12) }, () => (random(2) ? random(5) : random(2 ** 32)))),
    ]);
    client.send(frame(kind.program, kind.number, 2, 0, 0, payload));
    client.hangUp();
    const closed = await client.rpc.closed;
    assert.ok(closed instanceof Error, `round ${round}`);
  }
  assert.ok(delivered > 20, `${delivered} were delivered`);
});

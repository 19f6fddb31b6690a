// A server that speaks libvirt's wire but does what a test wants of it: late, wrong, cut short, too much. Owns its own
// plain encoding of the frame, so that a mistake in the client's codec is not repeated here.
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, type ConnectOptions, connect } from '../connection/connect.ts';
import { FrameSplitter } from '../wire/frame-splitter.ts';
import { maxFrameBytes, remoteProgram } from '../wire/message.ts';
import { XdrWriter } from '../xdr/writer.ts';

export interface Received {
  program: number;
  procedure: number;
  type: number;
  serial: number;
  status: number;
  payload: Buffer;
}

const procedures = { open: 1, close: 2, supportsFeature: 60, authList: 66 } as const;
const types = { reply: 1, event: 2, stream: 3 } as const;
const statuses = { ok: 0, error: 1, continue: 2 } as const;

/** One client's connection, seen from the server. */
export class Peer {
  readonly socket: net.Socket;
  constructor(socket: net.Socket) {
    this.socket = socket;
  }

  reply({ program, procedure, serial }: Received, payload: Uint8Array = Buffer.alloc(0)): void {
    this.socket.write(frame(program, procedure, types.reply, serial, statuses.ok, payload));
  }

  error({ program, procedure, serial }: Received, payload: Uint8Array): void {
    this.socket.write(frame(program, procedure, types.reply, serial, statuses.error, payload));
  }

  /** One packet of the stream that a call opened; without `payload` its confirmed end. */
  stream({ program, procedure, serial }: Received, payload?: Uint8Array): void {
    const status = payload === undefined ? statuses.ok : statuses.continue;
    this.socket.write(frame(program, procedure, types.stream, serial, status, payload ?? Buffer.alloc(0)));
  }

  event(procedure: number, payload: Uint8Array): boolean {
    return this.socket.write(frame(remoteProgram, procedure, types.event, 0, statuses.ok, payload));
  }
}

export interface FakeServer extends AsyncDisposable {
  path: string;
  /** Everything received that the default answers did not cover. */
  received: Received[];
}

/** Returns true when it dealt with the message; otherwise opening, authentication and closing are answered as usual. */
export type Behaviour = (message: Received, peer: Peer) => boolean;

export async function startFakeServer(behaviour: Behaviour): Promise<FakeServer> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-fake-'));
  const path = join(folder, 'sock');
  const received: Received[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    const peer = new Peer(socket);
    const splitter = new FrameSplitter((bytes, start, end) => {
      const message = parse(bytes.subarray(start, end));
      if (behaviour(message, peer) || answerAsUsual(message, peer)) return;
      received.push(message);
    });
    socket.on('data', (chunk) => splitter.push(chunk));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    received,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}

function answerAsUsual(message: Received, peer: Peer): boolean {
  if (message.type !== 0) return false;
  switch (message.procedure) {
    case procedures.authList:
      peer.reply(message, words(1, 0));
      return true;
    case procedures.supportsFeature:
      peer.reply(message, words(1));
      return true;
    case procedures.open:
    case procedures.close:
      peer.reply(message);
      return true;
    default:
      return false;
  }
}

function parse(bytes: Buffer): Received {
  const word = (index: number): number => bytes.readUInt32BE(index * 4);
  return {
    program: word(0),
    procedure: word(2),
    type: word(3),
    serial: word(4),
    status: word(5),
    payload: bytes.subarray(24),
  };
}

export function frame(
  program: number,
  procedure: number,
  type: number,
  serial: number,
  status: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  return Buffer.concat([words(28 + payload.length, program, 1, procedure, type, serial, status), payload]);
}

/** Big-endian 32-bit words. */
export function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeUInt32BE(value >>> 0, index * 4);
  });
  return bytes;
}

/** A payload written with the codec. */
export function encoded(write: (writer: XdrWriter) => void): Buffer {
  const writer = new XdrWriter();
  write(writer);
  return writer.take();
}

export const oversizedLength = maxFrameBytes + 1;

/** Fake servers of one test file, each with one client; `close` ends them all. */
export function fakeServers() {
  const open: AsyncDisposable[] = [];
  return {
    async connectTo(behaviour: Behaviour, options: ConnectOptions = {}): Promise<Connection> {
      const server = await startFakeServer(behaviour);
      open.push(server);
      const connection = await connect({ transport: { kind: 'unix', path: server.path }, ...options });
      open.push(connection);
      return connection;
    },
    async close(): Promise<void> {
      for (const resource of open.reverse()) await resource[Symbol.asyncDispose]();
    },
  };
}

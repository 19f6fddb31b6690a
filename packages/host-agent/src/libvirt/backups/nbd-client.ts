// A client of the NBD protocol, for qemu-nbd on a unix socket: reads, writes and zeroes a disk of whatever format as a guest
// would see it. Owns one connection; several requests may be under way. Lengths that the server states are checked; any breach
// of the protocol, and the end of the connection, fail what is under way.
// @see https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
import { connect, type Socket } from 'node:net';

const magic = { greeting: 0x4e42444d41474943n, option: 0x49484156454f5054n, optionReply: 0x3e889045565a9n };
const requestMagic = 0x25609513;
const replyMagic = 0x67446698;
const commands = { read: 0, write: 1, disconnect: 2, flush: 3, writeZeroes: 6 } as const;
const optionGo = 7;
const replies = { ack: 1, info: 3, errorBit: 0x80000000 } as const;
const infoExport = 0;
/** Fixed newstyle, and no padding after the old way of choosing an export. */
const clientFlags = 3;
const maxInfoBytes = 4096;

type Pending = { readBytes: number; resolve: (data: Buffer) => void; reject: (error: Error) => void };

export class NbdError extends Error {
  override readonly name = 'NbdError';
}

export class NbdClient {
  readonly sizeBytes: number;
  readonly #socket: Socket;
  readonly #pending = new Map<bigint, Pending>();
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #nextHandle = 1n;
  #broken: Error | undefined;

  static async connect(path: string): Promise<NbdClient> {
    const socket = connect(path);
    try {
      const { sizeBytes, rest } = await negotiate(socket);
      return new NbdClient(socket, sizeBytes, rest);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  private constructor(socket: Socket, sizeBytes: number, rest: Buffer) {
    this.#socket = socket;
    this.sizeBytes = sizeBytes;
    socket.on('data', (data) => this.#receive(data));
    socket.on('error', (error) => this.#break(error));
    socket.on('close', () => this.#break(new NbdError('the connection to the disk has ended')));
    if (rest.length > 0) this.#receive(rest);
  }

  read(offset: number, length: number): Promise<Buffer> {
    return this.#request(commands.read, offset, length, undefined, length);
  }

  async write(offset: number, data: Buffer): Promise<void> {
    await this.#request(commands.write, offset, data.length, data);
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    await this.#request(commands.writeZeroes, offset, length);
  }

  async flush(): Promise<void> {
    await this.#request(commands.flush, 0, 0);
  }

  /** Says good-bye; the server ends what is under way first. */
  async close(): Promise<void> {
    if (this.#broken !== undefined) return;
    const closed = new Promise((resolve) => this.#socket.once('close', resolve));
    this.#socket.end(requestHeader(commands.disconnect, 0n, 0, 0));
    await closed;
  }

  #request(command: number, offset: number, length: number, data?: Buffer, readBytes = 0): Promise<Buffer> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const handle = this.#nextHandle++;
    return new Promise((resolve, reject) => {
      this.#pending.set(handle, { readBytes, resolve, reject });
      const header = requestHeader(command, handle, offset, length);
      this.#socket.write(data === undefined ? header : Buffer.concat([header, data]));
    });
  }

  #receive(data: Buffer): void {
    this.#received.push(data);
    this.#receivedBytes += data.length;
    for (;;) {
      if (this.#receivedBytes < replyBytes) return;
      const head = this.#peek(replyBytes);
      const pending = this.#pending.get(head.readBigUInt64BE(8));
      if (head.readUInt32BE(0) !== replyMagic || pending === undefined) {
        this.#socket.destroy(new NbdError('the server of the disk does not keep to the protocol'));
        return;
      }
      const error = head.readUInt32BE(4);
      const dataBytes = error === 0 ? pending.readBytes : 0;
      if (this.#receivedBytes < replyBytes + dataBytes) return;
      this.#pending.delete(head.readBigUInt64BE(8));
      const reply = this.#take(replyBytes + dataBytes);
      if (error === 0) pending.resolve(reply.subarray(replyBytes));
      else pending.reject(new NbdError(`the disk cannot be worked on: error ${error}`));
    }
  }

  #peek(bytes: number): Buffer {
    if (this.#received[0]!.length < bytes) this.#received = [Buffer.concat(this.#received)];
    return this.#received[0]!;
  }

  #take(bytes: number): Buffer {
    const whole = this.#received.length === 1 ? this.#received[0]! : Buffer.concat(this.#received);
    this.#received = whole.length === bytes ? [] : [whole.subarray(bytes)];
    this.#receivedBytes -= bytes;
    return whole.subarray(0, bytes);
  }

  #break(error: Error): void {
    this.#broken ??= error;
    for (const { reject } of this.#pending.values()) reject(this.#broken);
    this.#pending.clear();
  }
}

const replyBytes = 16;

function requestHeader(command: number, handle: bigint, offset: number, length: number): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(requestMagic, 0);
  header.writeUInt16BE(command, 6);
  header.writeBigUInt64BE(handle, 8);
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(length, 24);
  return header;
}

/** Takes the server's only export. */
async function negotiate(socket: Socket): Promise<{ sizeBytes: number; rest: Buffer }> {
  const input = new Input(socket);
  const greeting = await input.take(18);
  if (greeting.readBigUInt64BE(0) !== magic.greeting || greeting.readBigUInt64BE(8) !== magic.option) {
    throw new NbdError('the server of the disk does not speak NBD');
  }
  const hello = Buffer.alloc(4 + 16 + 6);
  hello.writeUInt32BE(clientFlags, 0);
  hello.writeBigUInt64BE(magic.option, 4);
  hello.writeUInt32BE(optionGo, 12);
  // An empty name, and no questions.
  hello.writeUInt32BE(6, 16);
  socket.write(hello);
  for (let sizeBytes: number | undefined; ; ) {
    const head = await input.take(20);
    if (head.readBigUInt64BE(0) !== magic.optionReply) throw new NbdError('the server of the disk does not speak NBD');
    const type = head.readUInt32BE(12);
    const length = head.readUInt32BE(16);
    if (length > maxInfoBytes) throw new NbdError('the server of the disk does not keep to the protocol');
    const data = await input.take(length);
    if (type >= replies.errorBit) throw new NbdError(`the server does not give the disk: error ${type}`);
    if (type === replies.info && data.readUInt16BE(0) === infoExport) sizeBytes = Number(data.readBigUInt64BE(2));
    if (type !== replies.ack) continue;
    if (sizeBytes === undefined) throw new NbdError('the server does not say how large the disk is');
    return { sizeBytes, rest: input.end() };
  }
}

/** Bytes as they come, until the connection is handed on. */
class Input {
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #error: Error | undefined;
  #wake = () => {};
  readonly #onData = (data: Buffer) => {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    this.#wake();
  };
  readonly #onEnd = (error?: Error | boolean) => {
    this.#error = error instanceof Error ? error : new NbdError('the connection to the disk has ended');
    this.#wake();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', this.#onData).on('error', this.#onEnd).on('close', this.#onEnd);
  }

  async take(bytes: number): Promise<Buffer> {
    while (this.#buffer.length < bytes) {
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const taken = this.#buffer.subarray(0, bytes);
    this.#buffer = this.#buffer.subarray(bytes);
    return taken;
  }

  end(): Buffer {
    this.#socket.off('data', this.#onData).off('error', this.#onEnd).off('close', this.#onEnd);
    return this.#buffer;
  }
}

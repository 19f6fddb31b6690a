// One connection at the level of messages: frames in, frames out, and who gets what. Owns the transport and its end: any
// violation of the protocol, transport error or close ends it once, with every call and stream told why.
import type { Duplex } from 'node:stream';
import { ConnectionLost, InvalidValue, ProtocolError } from '../errors.ts';
import type { Procedure } from '../protocol/procedure.ts';
import { FrameSplitter } from '../wire/frame-splitter.ts';
import {
  beginFrame,
  endFrame,
  type Header,
  keepaliveProgram,
  maxFrameBytes,
  messageStatus,
  messageType,
  qemuProgram,
  readHeader,
  remoteProgram,
} from '../wire/message.ts';
import { XdrReader } from '../xdr/reader.ts';
import { XdrWriter } from '../xdr/writer.ts';
import { type Call, type CallOptions, CallTable } from './call-table.ts';
import { EventHub } from './event-hub.ts';
import { Keepalive, type KeepaliveOptions } from './keepalive.ts';
import { keepMessagesApart } from './transport.ts';

/** What a stream needs to be told. See stream.ts. */
export interface StreamSink {
  packet(status: number, reader: XdrReader): void;
  hole(reader: XdrReader): void;
  lost(error: Error): void;
}

export interface RpcOptions {
  callTimeoutMs: number;
  slowCallTimeoutMs: number;
  maxInFlight: number;
}

const keepaliveProcedure = { ping: 1, pong: 2 } as const;
/** A peer that sends but never reads may make us hold this much before it is cut off. */
const maxUnreadBytes = 4 * 1024 * 1024;

export class Rpc {
  /** Resolves once the connection has ended: undefined when we closed it, else why it ended. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  readonly events: EventHub;
  private readonly socket: Duplex;
  private readonly messagesApart: boolean;
  private readonly calls: CallTable;
  private readonly streams = new Map<number, StreamSink>();
  private readonly writer = new XdrWriter();
  private readonly reader = new XdrReader(Buffer.alloc(0));
  private readonly splitter = new FrameSplitter((bytes, start, end) => this.receive(bytes, start, end));
  private readonly header: Header = { program: 0, procedure: 0, type: 0, serial: 0, status: 0 };
  private keepalive: Keepalive | undefined;
  private flushScheduled = false;
  private ended = false;
  private resolveClosed!: (error: Error | undefined) => void;

  constructor(socket: Duplex, options: RpcOptions) {
    this.socket = socket;
    this.messagesApart = keepMessagesApart(socket);
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve;
    });
    this.calls = new CallTable({ ...options, write: (call) => this.writeCall(call) });
    this.events = new EventHub((procedure, args, callOptions) => this.call(procedure, args, callOptions));
    socket.on('data', (chunk: Buffer) => this.push(chunk));
    socket.on('error', (error) => this.end(error));
    socket.on('close', () => this.end(new Error('libvirt closed the connection')));
    socket.on('end', () => this.end(new Error('libvirt closed the connection')));
  }

  call<A, R>(procedure: Procedure<A, R>, args: A, options?: CallOptions): Promise<R> {
    return this.calls.call(procedure, args, options);
  }

  /** A call that opens a stream: `sink` is made for its serial before the call is written. */
  callWithStream<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    sink: (serial: number) => StreamSink,
    options?: CallOptions,
  ): Promise<R> {
    let opened = 0;
    const answer = this.calls.call(procedure, args, options, (serial) => {
      opened = serial;
      this.streams.set(serial, sink(serial));
    });
    answer.catch(() => this.streams.delete(opened));
    return answer;
  }

  startKeepalive(options: KeepaliveOptions): void {
    if (this.ended) return;
    this.keepalive = new Keepalive(
      options,
      () => this.sendKeepalive(keepaliveProcedure.ping),
      (silentMs) => this.end(new Error(`libvirt did not answer for ${silentMs} ms`)),
    );
  }

  /** Sends one stream packet; `done` runs when the transport has taken it. `payload` must not change before that. */
  sendStream(
    procedure: Procedure<unknown, unknown>,
    serial: number,
    status: number,
    payload: Uint8Array | undefined,
    done: (error?: Error | null) => void,
    type: number = messageType.stream,
  ): void {
    if (this.ended) {
      done(new ConnectionLost('the connection to libvirt has ended', false));
      return;
    }
    const mark = beginFrame(this.writer, procedure.program, procedure.number, type, serial, status);
    const payloadBytes = payload?.length ?? 0;
    this.writer.patchUint(mark, this.writer.length - mark + payloadBytes);
    this.socket.cork();
    if (payload === undefined || payloadBytes === 0) {
      this.socket.write(this.writer.take(), done);
    } else {
      this.socket.write(this.writer.take());
      this.socket.write(payload, done);
    }
    this.socket.uncork();
  }

  /** Ends the stream's routing; packets that still come for it are dropped. */
  forgetStream(serial: number): void {
    this.streams.delete(serial);
  }

  /** Stops reading the transport: the only back-pressure the protocol has. */
  pauseReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    this.keepalive?.alive();
    this.socket.resume();
  }

  /** Ends the connection without a word to the peer. Without `error` it counts as closed by us. Idempotent. */
  end(error?: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.keepalive?.stop();
    this.socket.destroy();
    const message =
      error === undefined ? 'the connection was closed' : `the connection to libvirt was lost (${error.message})`;
    this.calls.fail(new ConnectionLost(message, false, { cause: error }));
    const streams = [...this.streams.values()];
    this.streams.clear();
    for (const stream of streams) stream.lost(new ConnectionLost(message, true, { cause: error }));
    this.resolveClosed(error);
  }

  private push(chunk: Buffer): void {
    this.keepalive?.alive();
    try {
      this.splitter.push(chunk);
    } catch (error) {
      this.end(error as Error);
    }
  }

  private receive(bytes: Buffer, start: number, end: number): void {
    if (this.ended) return;
    const { header, reader } = this;
    readHeader(reader.reset(bytes, start, end), header);
    if (header.program === keepaliveProgram) {
      if (header.procedure === keepaliveProcedure.ping) this.sendKeepalive(keepaliveProcedure.pong);
    } else if (header.program !== remoteProgram && header.program !== qemuProgram) {
      throw new ProtocolError(`the peer speaks of program ${header.program.toString(16)}; is it libvirt?`);
    } else if (header.type === messageType.reply) {
      this.receiveReply(header, reader);
    } else if (header.type === messageType.event) {
      this.events.deliver(header.program, header.procedure, reader);
    } else if (header.type === messageType.stream) {
      this.streams.get(header.serial)?.packet(header.status, reader);
    } else if (header.type === messageType.streamHole) {
      this.streams.get(header.serial)?.hole(reader);
    } else {
      throw new ProtocolError(`the peer sent a message of type ${header.type}, which servers do not send`);
    }
  }

  private receiveReply(header: Header, reader: XdrReader): void {
    if (header.status === messageStatus.continue) throw new ProtocolError('the peer sent half an answer');
    if (this.calls.answer(header, reader)) return;
    // libvirt answers a failed hole of an upload with a reply instead of a stream packet.
    const stream = this.streams.get(header.serial);
    if (stream === undefined) throw new ProtocolError(`the peer answered a call ${header.serial} that was never made`);
    stream.packet(header.status, reader);
  }

  private writeCall(call: Call): void {
    const { procedure, serial, args } = call;
    const { writer } = this;
    const mark = beginFrame(writer, procedure.program, procedure.number, messageType.call, serial, messageStatus.ok);
    try {
      procedure.args.encode(writer, args);
      if (writer.length - mark > maxFrameBytes) throw new InvalidValue(`${procedure.name} is larger than 32 MiB`);
    } catch (error) {
      writer.rollback(mark);
      throw error;
    }
    endFrame(writer, mark);
    this.scheduleFlush();
  }

  private sendKeepalive(procedure: number): void {
    if (this.ended) return;
    if (this.socket.writableLength > maxUnreadBytes) {
      this.end(new Error('libvirt sends but does not read'));
      return;
    }
    const mark = beginFrame(this.writer, keepaliveProgram, procedure, messageType.event, 0, messageStatus.ok);
    endFrame(this.writer, mark);
    this.scheduleFlush();
  }

  /** All that is written in one turn of the event loop leaves in one system call, where messages need not be apart. */
  private scheduleFlush(): void {
    if (this.messagesApart) this.socket.write(this.writer.take());
    else if (!this.flushScheduled) {
      this.flushScheduled = true;
      queueMicrotask(() => this.flush());
    }
  }

  private flush(): void {
    this.flushScheduled = false;
    if (!this.ended && this.writer.length > 0) this.socket.write(this.writer.take());
  }
}

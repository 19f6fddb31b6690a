// A libvirt data stream as a Node stream. Owns the hand-shakes around the data: end of data, finish, abort. The end is
// reported only after libvirt has confirmed it, so a stream that ended well was complete. Fails with LibvirtError or
// ConnectionLost. The protocol has no window per stream: a reader that stops makes us stop reading the whole transport,
// which is why streams normally ride a connection of their own. libvirt may send data ahead of the answer that opens the
// stream: reading goes on up to that answer, or it would never come.
import { Duplex } from 'node:stream';
import { LibvirtError, ProtocolError } from '../errors.ts';
import { remoteError } from '../protocol/objects.ts';
import type { Procedure } from '../protocol/procedure.ts';
import { maxStreamPayloadBytes, messageStatus, messageType } from '../wire/message.ts';
import type { XdrReader } from '../xdr/reader.ts';
import { hyper, struct, uint } from '../xdr/schema.ts';
import { XdrWriter } from '../xdr/writer.ts';
import type { Rpc, StreamSink } from './rpc.ts';

/** A run of zeroes that is not sent. */
export interface StreamHole {
  holeBytes: number;
}

export interface StreamKind {
  readable: boolean;
  writable: boolean;
  /** Holes are passed as {@link StreamHole} objects among the buffers. */
  sparse: boolean;
}

/** What a peer may send ahead of its answer before it counts as one that never answers. */
const maxEarlyBytes = 256 * 1024 * 1024;
const holeMessage = struct({ length: hyper, flags: uint });
type State = 'open' | 'finishing' | 'ended';

export class LibvirtStream extends Duplex implements StreamSink {
  private readonly rpc: Rpc;
  private readonly procedure: Procedure<unknown, unknown>;
  private readonly serial: number;
  private state: State = 'open';
  private answered = false;
  private earlyBytes = 0;
  private paused = false;
  private finished: ((error?: Error | null) => void) | undefined;

  constructor(rpc: Rpc, procedure: Procedure<unknown, unknown>, serial: number, kind: StreamKind) {
    const { readable, writable, sparse } = kind;
    const highWaterMark = sparse ? 8 : 512 * 1024;
    // Not a literal: Node has `readable` and `writable`, its type declarations do not.
    const options = { readable, writable, objectMode: sparse, highWaterMark, allowHalfOpen: false };
    super(options);
    this.rpc = rpc;
    this.procedure = procedure;
    this.serial = serial;
  }

  /** The call that opened the stream was answered: from here on a slow reader holds the peer back. */
  opened(): void {
    this.answered = true;
    if (this.state === 'open' && this.readableLength >= this.readableHighWaterMark) this.holdBack();
  }

  packet(status: number, reader: XdrReader): void {
    if (status === messageStatus.error) {
      this.conclude(new LibvirtError(this.procedure.name, remoteError.decode(reader)));
    } else if (status === messageStatus.ok) {
      this.conclude();
    } else if (reader.remaining === 0) {
      this.finish();
    } else if (this.state === 'open' && this.readable) {
      this.deliver(reader.rest());
    }
  }

  hole(reader: XdrReader): void {
    const { length } = holeMessage.decode(reader);
    if (!this.readableObjectMode || length < 0n) throw new ProtocolError('the peer sent a hole in a dense stream');
    if (this.state === 'open') this.deliver({ holeBytes: Number(length) });
  }

  lost(error: Error): void {
    this.state = 'ended';
    this.destroy(error);
  }

  override _read(): void {
    if (!this.paused) return;
    this.paused = false;
    this.rpc.resumeReading();
  }

  override _write(chunk: unknown, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // What is written after the end is dropped: libvirt no longer takes it, and the end itself has been reported.
    if (this.state !== 'open') done();
    else if (chunk instanceof Uint8Array) this.writeFrom(chunk, 0, done);
    else this.writeHole(chunk as StreamHole, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.state === 'ended') {
      done();
      return;
    }
    this.finished = done;
    this.finish();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const aborting = this.state === 'open';
    this.state = 'ended';
    this.rpc.forgetStream(this.serial);
    if (this.paused) this.rpc.resumeReading();
    this.paused = false;
    if (aborting) this.send(messageStatus.error, undefined, () => undefined);
    this.finished?.(error);
    this.finished = undefined;
    // The failure may come with the very answer that opened the stream: whoever awaits that can then still listen.
    if (error) setImmediate(done, error);
    else done();
  }

  private deliver(data: Buffer | StreamHole): void {
    if (this.push(data)) return;
    if (this.answered) {
      this.holdBack();
      return;
    }
    this.earlyBytes += Buffer.isBuffer(data) ? data.length : 0;
    if (this.earlyBytes > maxEarlyBytes) {
      throw new ProtocolError(`the peer sent ${maxEarlyBytes} bytes of a stream without an answer to what opened it`);
    }
  }

  private holdBack(): void {
    this.paused = true;
    this.rpc.pauseReading();
  }

  /** Says that we are done; libvirt confirms with an `ok` packet, or an error when the data did not arrive well. */
  private finish(): void {
    if (this.state !== 'open') return;
    this.state = 'finishing';
    this.send(messageStatus.ok, undefined, () => undefined);
  }

  private conclude(error?: Error): void {
    this.state = 'ended';
    this.rpc.forgetStream(this.serial);
    if (error) {
      this.destroy(error);
      return;
    }
    const { finished } = this;
    this.finished = undefined;
    finished?.();
    this.push(null);
  }

  private writeFrom(chunk: Uint8Array, from: number, done: (error?: Error | null) => void): void {
    if (from >= chunk.length || this.state !== 'open') {
      done();
      return;
    }
    const next = Math.min(from + maxStreamPayloadBytes, chunk.length);
    this.send(messageStatus.continue, chunk.subarray(from, next), (error) => {
      if (error) done(error);
      else this.writeFrom(chunk, next, done);
    });
  }

  private writeHole({ holeBytes }: StreamHole, done: (error?: Error | null) => void): void {
    const writer = new XdrWriter();
    try {
      holeMessage.encode(writer, { length: BigInt(holeBytes), flags: 0 });
    } catch (error) {
      done(error as Error);
      return;
    }
    const { rpc, procedure, serial } = this;
    rpc.sendStream(procedure, serial, messageStatus.continue, writer.take(), done, messageType.streamHole);
  }

  private send(status: number, payload: Uint8Array | undefined, done: (error?: Error | null) => void): void {
    this.rpc.sendStream(this.procedure, this.serial, status, payload, done);
  }
}

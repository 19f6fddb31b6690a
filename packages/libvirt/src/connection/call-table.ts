// The calls of one connection: which wait, which are at the server, which were given up. Owns serial numbers, deadlines,
// abort signals and the limit of calls in flight. Every call ends exactly once: answer, error, deadline, abort, or loss.
import { CallTimeout, ConnectionLost, LibvirtError, ProtocolError } from '../errors.ts';
import { remoteError } from '../protocol/objects.ts';
import type { Procedure } from '../protocol/procedure.ts';
import { type Header, messageStatus } from '../wire/message.ts';
import type { XdrReader } from '../xdr/reader.ts';

/** Node ends longer timers at once. */
const maxTimerMs = 0x7fff_ffff;

export interface CallOptions {
  /** How long the answer may take, waiting for a free slot included. */
  timeoutMs?: number | undefined;
  /** Gives the call up. What was already sent may still take effect. */
  signal?: AbortSignal | undefined;
}

/** One call under way. */
export interface Call {
  readonly procedure: Procedure<unknown, unknown>;
  readonly args: unknown;
  serial: number;
  settled: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  /** Told the serial just before the call is written, so that a stream can be listening before its first packet. */
  onSerial: ((serial: number) => void) | undefined;
  timer: NodeJS.Timeout | undefined;
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
}

export interface CallTableOptions {
  /** libvirtd works on this many requests of a client at a time (max_client_requests) and then stops reading. */
  maxInFlight: number;
  callTimeoutMs: number;
  slowCallTimeoutMs: number;
  /** Writes a call to the transport. @throws InvalidValue when its arguments cannot be encoded */
  write(call: Call): void;
}

export class CallTable {
  private readonly options: CallTableOptions;
  private readonly inFlight = new Map<number, Call>();
  private waiting: Call[] = [];
  private lastSerial = 0;
  private lost: ConnectionLost | undefined;

  constructor(options: CallTableOptions) {
    this.options = options;
  }

  call<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    options?: CallOptions,
    onSerial?: (serial: number) => void,
  ): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const signal = options?.signal;
      if (this.lost) return reject(this.lossOf(procedure.name, false));
      if (signal?.aborted) return reject(signal.reason);
      const call: Call = {
        procedure: procedure as Procedure<unknown, unknown>,
        args,
        serial: 0,
        settled: false,
        resolve: resolve as (value: unknown) => void,
        reject,
        onSerial,
        timer: undefined,
        signal,
        onAbort: undefined,
      };
      const { callTimeoutMs, slowCallTimeoutMs } = this.options;
      const timeoutMs = options?.timeoutMs ?? (procedure.slow ? slowCallTimeoutMs : callTimeoutMs);
      call.timer = setTimeout(expire, Math.min(timeoutMs, maxTimerMs), this, call, timeoutMs);
      if (signal) {
        call.onAbort = () => this.giveUp(call, signal.reason);
        signal.addEventListener('abort', call.onAbort, { once: true });
      }
      if (this.inFlight.size < this.options.maxInFlight) this.send(call);
      else this.waiting.push(call);
    });
  }

  /** An answer came. Returns false when no call has that serial. @throws ProtocolError it answers another procedure */
  answer(header: Header, reader: XdrReader): boolean {
    const call = this.inFlight.get(header.serial);
    if (call === undefined) return false;
    const { program, number, name } = call.procedure;
    if (header.program !== program || header.procedure !== number) {
      throw new ProtocolError(`the peer answered ${name} as procedure ${header.program}:${header.procedure}`);
    }
    const isError = header.status === messageStatus.error;
    this.inFlight.delete(header.serial);
    if (!call.settled) {
      settle(call);
      try {
        if (isError) {
          call.reject(new LibvirtError(call.procedure.name, remoteError.decode(reader)));
        } else {
          const value = call.procedure.returns.decode(reader);
          reader.expectEnd();
          call.resolve(value);
        }
      } catch (cause) {
        call.reject(new ProtocolError(`the answer to ${call.procedure.name} cannot be read`, { cause }));
      }
    }
    this.sendWaiting();
    return true;
  }

  /** Ends every call: the connection is gone. Later calls fail at once. */
  fail(loss: ConnectionLost): void {
    this.lost = loss;
    const sent = [...this.inFlight.values()];
    const waiting = this.waiting;
    this.inFlight.clear();
    this.waiting = [];
    for (const call of sent) this.end(call, this.lossOf(call.procedure.name, true));
    for (const call of waiting) this.end(call, this.lossOf(call.procedure.name, false));
  }

  giveUp(call: Call, reason: unknown): void {
    // The server still works on it: its slot stays taken until the late answer arrives.
    if (call.serial === 0) this.waiting = this.waiting.filter((other) => other !== call);
    this.end(call, reason);
  }

  private send(call: Call): void {
    this.lastSerial = this.lastSerial === 0xffff_ffff ? 1 : this.lastSerial + 1;
    call.serial = this.lastSerial;
    try {
      call.onSerial?.(call.serial);
      this.options.write(call);
      this.inFlight.set(call.serial, call);
    } catch (error) {
      this.end(call, error);
    }
  }

  private sendWaiting(): void {
    while (this.waiting.length > 0 && this.inFlight.size < this.options.maxInFlight) this.send(this.waiting.shift()!);
  }

  private end(call: Call, error: unknown): void {
    if (call.settled) return;
    settle(call);
    call.reject(error);
  }

  private lossOf(procedure: string, sent: boolean): ConnectionLost {
    const effect = sent ? 'whether it took effect is unknown' : 'it was not sent';
    return new ConnectionLost(`${procedure}: ${this.lost?.message}; ${effect}`, sent, { cause: this.lost?.cause });
  }
}

function settle(call: Call): void {
  call.settled = true;
  clearTimeout(call.timer);
  if (call.onAbort) call.signal?.removeEventListener('abort', call.onAbort);
}

function expire(table: CallTable, call: Call, timeoutMs: number): void {
  table.giveUp(call, new CallTimeout(call.procedure.name, timeoutMs, call.serial !== 0));
}

// An opened, authenticated connection to one hypervisor, and the further connections its data streams ride on. Owns the
// order of opening and closing. Fails with ConnectFailed when nothing was opened, LibvirtError when libvirt refused.
import { ConnectFailed, LibvirtError } from '../errors.ts';
import type { Procedure } from '../protocol/procedure.ts';
import {
  authList,
  authPolkit,
  authType,
  connectClose,
  connectOpen,
  connectSupportsFeature,
  feature,
  openFlag,
} from '../protocol/session-calls.ts';
import type { CallOptions } from './call-table.ts';
import type { EventHub } from './event-hub.ts';
import type { KeepaliveOptions } from './keepalive.ts';
import { Rpc, type RpcOptions } from './rpc.ts';
import { LibvirtStream, type StreamKind } from './stream.ts';
import { dial, type Transport } from './transport.ts';

export interface SessionOptions extends RpcOptions {
  transport: Transport;
  uri: string;
  readOnly: boolean;
  keepalive: KeepaliveOptions;
  connectTimeoutMs: number;
}

export class Session {
  readonly closed: Promise<Error | undefined>;
  private readonly options: SessionOptions;
  private readonly rpc: Rpc;
  private readonly streamConnections = new Set<Rpc>();

  private constructor(options: SessionOptions, rpc: Rpc) {
    this.options = options;
    this.rpc = rpc;
    this.closed = rpc.closed.then((error) => {
      for (const connection of this.streamConnections) connection.end(error);
      return error;
    });
  }

  static async open(options: SessionOptions, signal?: AbortSignal): Promise<Session> {
    return new Session(options, await openRpc(options, signal, true));
  }

  get events(): EventHub {
    return this.rpc.events;
  }

  async call<A, R>(procedure: Procedure<A, R>, args: A, options?: CallOptions): Promise<R> {
    try {
      return await this.rpc.call(procedure, args, options);
    } catch (error) {
      // Made where the answer was read; a stack is of use only when it leads to the caller.
      if (error instanceof LibvirtError) Error.captureStackTrace(error, this.call);
      throw error;
    }
  }

  /**
   * Makes a call that opens a data stream. The stream has a connection of its own, because the protocol cannot hold back
   * one stream without holding back everything; only a transport that cannot be dialled twice is shared.
   */
  async openStream<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    kind: StreamKind,
    options?: CallOptions,
  ): Promise<{ answer: R; stream: LibvirtStream }> {
    const { transport } = this.options;
    const shared = transport.kind === 'duplex' && typeof transport.stream !== 'function';
    const rpc = shared ? this.rpc : await openRpc(this.options, options?.signal, false);
    if (!shared) this.streamConnections.add(rpc);
    let stream!: LibvirtStream;
    const release = (): void => {
      if (this.streamConnections.delete(rpc)) rpc.end();
    };
    try {
      const sink = (serial: number): LibvirtStream => {
        stream = new LibvirtStream(rpc, procedure as Procedure<unknown, unknown>, serial, kind);
        return stream;
      };
      const answer = await rpc.callWithStream(procedure, args, sink, options);
      stream.opened();
      stream.once('close', () => setImmediate(release));
      if (stream.closed) release();
      return { answer, stream };
    } catch (error) {
      stream?.on('error', () => undefined).destroy();
      release();
      throw error;
    }
  }

  /** Tells libvirt that we leave, within one second, then ends everything. Idempotent. */
  async close(): Promise<void> {
    await this.rpc.call(connectClose, undefined, { timeoutMs: 1000 }).catch(() => undefined);
    for (const connection of this.streamConnections) connection.end();
    this.rpc.end();
    await this.rpc.closed;
  }
}

async function openRpc(options: SessionOptions, signal: AbortSignal | undefined, watched: boolean): Promise<Rpc> {
  const deadline = AbortSignal.timeout(options.connectTimeoutMs);
  const either = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
  let rpc: Rpc | undefined;
  try {
    rpc = new Rpc(await dial(options.transport, either), options);
    await authenticate(rpc, either);
    // Asking for keepalive makes libvirt ping us too; a stream that waits for a slow reader could not answer.
    const [supported] = await Promise.all([
      watched ? rpc.call(connectSupportsFeature, { feature: feature.programKeepalive }, { signal: either }) : undefined,
      rpc.call(connectOpen, { name: options.uri, flags: options.readOnly ? openFlag.readOnly : 0 }, { signal: either }),
    ]);
    if (supported?.supported) rpc.startKeepalive(options.keepalive);
    return rpc;
  } catch (cause) {
    rpc?.end();
    signal?.throwIfAborted();
    if (!deadline.aborted) throw cause;
    const text = `libvirt did not open ${options.uri} within ${options.connectTimeoutMs} ms; is the daemon stuck?`;
    throw new ConnectFailed('TIMEOUT', text, { cause });
  }
}

async function authenticate(rpc: Rpc, signal: AbortSignal): Promise<void> {
  const { types } = await rpc.call(authList, undefined, { signal });
  if (types.length === 0 || types.includes(authType.none)) return;
  if (!types.includes(authType.polkit)) {
    throw new ConnectFailed(
      'AUTH_UNSUPPORTED',
      "libvirt asks for SASL, which this client does not speak: set auth_unix_rw or auth_tls to 'none' in libvirtd.conf",
    );
  }
  try {
    await rpc.call(authPolkit, undefined, { signal });
  } catch (cause) {
    if (!(cause instanceof LibvirtError)) throw cause;
    throw new ConnectFailed(
      'AUTH_DENIED',
      'polkit did not grant org.libvirt.unix.manage: join the group libvirt, add a polkit rule, or run as root',
      { cause },
    );
  }
}

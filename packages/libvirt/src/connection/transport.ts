// Reaches the daemon: unix socket, TLS, or a stream that the caller made. Owns the path from address to an open Duplex
// that speaks RPC next. Fails with ConnectFailed, whose text says what to do.
import { readFile, stat } from 'node:fs/promises';
import net from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { ConnectFailed, type ConnectFailureReason } from '../errors.ts';

export interface UnixTransport {
  kind: 'unix';
  path: string;
}

/** libvirt's TLS port. `ca`, `cert` and `key` are PEM. */
export interface TlsTransport {
  kind: 'tls';
  host: string;
  /** default 16514 */
  port?: number;
  ca: string | Buffer;
  cert: string | Buffer;
  key: string | Buffer;
  /** The name that the server's certificate must carry, when it is not `host`. */
  servername?: string;
}

/** Any open byte stream to a daemon, e.g. an SSH channel; a function is asked anew for each data stream. */
export interface DuplexTransport {
  kind: 'duplex';
  stream: Duplex | (() => Duplex | Promise<Duplex>);
}

export type Transport = UnixTransport | TlsTransport | DuplexTransport;

const defaultTlsPort = 16_514;

/**
 * The socket of the daemon that opens a URI: of the monolithic daemon (or the proxy in its place), or of the modular QEMU
 * daemon where there is only that, which passes on what belongs to its sisters. URIs that end in `/session` have theirs
 * in the user's runtime folder.
 */
export async function defaultSocketPath(
  uri: string,
  readOnly: boolean,
  systemFolder = '/run/libvirt',
): Promise<string> {
  const session = /\/session(\?|$)/.test(uri);
  const runtime = process.env.XDG_RUNTIME_DIR ?? join(homedir(), '.cache');
  const folder = session ? join(runtime, 'libvirt') : systemFolder;
  const suffix = readOnly && !session ? '-ro' : '';
  const [monolithic, modular] = ['libvirt', 'virtqemud'].map((name) => join(folder, `${name}-sock${suffix}`));
  const exists = (path: string): Promise<boolean> => stat(path).then(Boolean, () => false);
  return !(await exists(monolithic!)) && (await exists(modular!)) ? modular! : monolithic!;
}

export async function dial(transport: Transport, signal: AbortSignal): Promise<Duplex> {
  switch (transport.kind) {
    case 'unix':
      return dialUnix(transport.path, signal);
    case 'tls':
      return dialTls(transport, signal);
    case 'duplex':
      return typeof transport.stream === 'function' ? within(signal, transport.stream()) : transport.stream;
  }
}

/** What the caller's function gives, unless the signal fires first; what comes after that is destroyed. */
async function within(signal: AbortSignal, dialling: Duplex | Promise<Duplex>): Promise<Duplex> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([dialling, aborted.promise]);
  } catch (error) {
    void Promise.resolve(dialling).then(
      (late) => late.destroy(),
      () => undefined,
    );
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Whether each message needs a write of its own. libvirtd looks for the next message only when the network has news, and
 * so overlooks what came within the same TLS record. From here on every write to such a stream becomes records of its own.
 */
export function keepMessagesApart(stream: Duplex): boolean {
  if (!(stream instanceof tls.TLSSocket)) return false;
  // Without it Node passes on one by one what had to wait, instead of joined.
  Object.defineProperty(stream, '_writev', { value: null });
  return true;
}

async function dialUnix(path: string, signal: AbortSignal): Promise<Duplex> {
  const socket = net.connect({ path });
  try {
    await firstEvent(socket, 'connect', signal);
    return socket;
  } catch (cause) {
    socket.destroy();
    signal.throwIfAborted();
    throw await unixFailure(path, cause as NodeJS.ErrnoException);
  }
}

async function unixFailure(path: string, cause: NodeJS.ErrnoException): Promise<ConnectFailed> {
  const fail = (reason: ConnectFailureReason, message: string): ConnectFailed =>
    new ConnectFailed(reason, message, { cause });
  switch (cause.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return fail('SOCKET_MISSING', `libvirtd is not running or its socket is elsewhere: ${path} does not exist`);
    case 'ECONNREFUSED':
      return fail('REFUSED', `libvirtd is not running: nothing listens on ${path}; start libvirtd`);
    case 'EACCES':
    case 'EPERM': {
      const group = await groupOf(path);
      const join =
        group === undefined ? '' : ` join the group '${group}' (usermod -aG ${group} USER, then log in anew) or`;
      return fail('PERMISSION_DENIED', `no permission to open ${path}:${join} run as root`);
    }
    default:
      return fail('UNREACHABLE', `${path} cannot be opened (${cause.message})`);
  }
}

/** Name of the group that owns a file, root apart, which nobody should join. */
async function groupOf(path: string): Promise<string | undefined> {
  try {
    const { gid } = await stat(path);
    const lines = (await readFile('/etc/group', 'utf8')).split('\n');
    const name = lines.map((line) => line.split(':')).find((fields) => Number(fields[2]) === gid)?.[0];
    return gid === 0 ? undefined : name;
  } catch {
    return undefined;
  }
}

async function dialTls(transport: TlsTransport, signal: AbortSignal): Promise<Duplex> {
  const { host, port = defaultTlsPort, ca, cert, key, servername } = transport;
  const identity = servername === undefined ? {} : { servername };
  const socket = tls.connect({ host, port, ca, cert, key, ...identity });
  let reached = false;
  socket.once('connect', () => {
    reached = true;
  });
  try {
    await firstEvent(socket, 'secureConnect', signal);
    await expectWelcome(socket, signal);
    return socket;
  } catch (cause) {
    socket.destroy();
    signal.throwIfAborted();
    if (cause instanceof ConnectFailed) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const unreached: ConnectFailureReason = code === 'ECONNREFUSED' ? 'REFUSED' : 'UNREACHABLE';
    const hint = reached ? 'check the certificates on both sides' : 'is libvirtd listening for TLS there?';
    throw new ConnectFailed(
      reached ? 'TLS_REJECTED' : unreached,
      `no TLS connection to libvirt on ${host}:${port} (${message}): ${hint}`,
      { cause },
    );
  }
}

/** After the handshake libvirt checks the client's certificate and then sends the byte 1 before any message. */
async function expectWelcome(socket: tls.TLSSocket, signal: AbortSignal): Promise<void> {
  while (socket.readableLength === 0) await firstEvent(socket, 'readable', signal);
  const welcome = socket.read(1) as Buffer | null;
  socket.removeAllListeners('readable');
  if (welcome?.[0] !== 1) {
    throw new ConnectFailed(
      'TLS_REJECTED',
      "libvirt did not accept this client's certificate: see tls_allowed_dn_list",
    );
  }
}

/** Waits for an event of a socket; its error, close, or the signal make it fail. */
function firstEvent(socket: Duplex, event: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      socket.off(event, onEvent).off('error', onError).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      act();
    };
    const onEvent = (): void => settle(resolve);
    const onError = (error: Error): void => settle(() => reject(error));
    const onClose = (): void => settle(() => reject(new Error('the peer closed the connection')));
    const onAbort = (): void => settle(() => reject(signal.reason));
    if (signal.aborted) return reject(signal.reason);
    socket.on(event, onEvent).on('error', onError).on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

// The serial console in this terminal: raw bytes both ways over a WebSocket. The terminal is put back however it ends.
import { authHeaders, type ClientOptions, routeUrl } from '@virga/contract/client';
import { api } from '@virga/contract/rest/api';
import type { Instance } from '@virga/contract/rest/instances';
import type { RawData, WebSocket } from 'ws';
import type { TerminalIo } from '../terminal-io.ts';
import { brokenConsole, connectWebSocket } from './web-socket.ts';

/** Ctrl-], as with telnet and virsh console. */
const escapeByte = 0x1d;
/** Piped input has ended: leave when the guest has been quiet for this long. */
const quietMs = 2000;
const mostUntilText = 65_536;

export type ConsoleOptions = {
  /** Leave when the guest has printed this. */
  until?: string | undefined;
  /** Leave after this long in any case; with `until` that is a failure. */
  timeoutMs?: number | undefined;
  signal: AbortSignal;
};

export type ConsoleEnd = 'left' | 'closed' | 'until' | 'quiet' | 'timeout';

/** Connects, and passes bytes until somebody ends it. @throws VirgaError the server refuses the console */
export async function openConsoleSession(
  io: TerminalIo,
  connection: ClientOptions,
  instance: Instance,
  options: ConsoleOptions,
): Promise<ConsoleEnd> {
  const socket = await connect(connection, instance);
  const raw = io.stdin.isTTY === true && io.stdin.setRawMode !== undefined;
  if (raw) io.stdin.setRawMode?.(true);
  try {
    return await pump(io, socket, options, raw);
  } finally {
    if (raw) io.stdin.setRawMode?.(false);
    io.stdin.pause();
    socket.terminate();
  }
}

function pump(io: TerminalIo, socket: WebSocket, options: ConsoleOptions, raw: boolean): Promise<ConsoleEnd> {
  const { promise, resolve, reject } = Promise.withResolvers<ConsoleEnd>();
  const undo = new AbortController();
  const { signal: over } = undo;
  let seen = '';
  let quiet: NodeJS.Timeout | undefined;
  const hard = options.timeoutMs === undefined ? undefined : setTimeout(() => resolve('timeout'), options.timeoutMs);

  const fromGuest = (data: RawData) => {
    const bytes = Buffer.isBuffer(data)
      ? data
      : Buffer.concat([data].flat().map((part) => Buffer.from(part as Buffer)));
    quiet?.refresh();
    if (!io.stdout.write(bytes)) {
      socket.pause();
      io.stdout.once('drain', () => socket.resume());
    }
    if (options.until === undefined) return;
    seen = (seen + bytes.toString('latin1')).slice(-mostUntilText);
    if (seen.includes(Buffer.from(options.until).toString('latin1'))) resolve('until');
  };
  const fromUser = (chunk: Buffer | string) => {
    const bytes = Buffer.from(chunk as Buffer);
    const end = raw ? bytes.indexOf(escapeByte) : -1;
    const kept = end < 0 ? bytes : bytes.subarray(0, end);
    if (kept.length > 0) socket.send(kept);
    if (end >= 0) resolve('left');
  };
  const inputEnded = () => {
    if (options.until === undefined) quiet = setTimeout(() => resolve('quiet'), quietMs);
  };

  socket.on('message', fromGuest);
  socket.on('close', () => resolve('closed'));
  socket.on('error', (cause) => reject(brokenConsole(cause)));
  io.stdin.on('data', fromUser);
  io.stdin.on('end', inputEnded);
  options.signal.addEventListener('abort', () => resolve('left'), { signal: over });
  if (io.stdin.readableEnded) inputEnded();
  socket.resume();
  return promise.finally(() => {
    undo.abort();
    clearTimeout(quiet);
    clearTimeout(hard);
    io.stdin.off('data', fromUser);
    io.stdin.off('end', inputEnded);
  });
}

function connect(connection: ClientOptions, instance: Instance): Promise<WebSocket> {
  const url = routeUrl(connection.server, api.openConsole, { params: { id: instance.id } });
  return connectWebSocket(url, authHeaders(connection));
}

// Joins a WebSocket to a byte stream: binary messages both ways, each side slowed down by the other, and the end of one
// is the end of the other. A peer that has gone without a word is found out by pings.
import type { Duplex } from 'node:stream';
import type { WebSocket } from '@fastify/websocket';
import { VirgaError } from '@virga/contract/errors';
import type { FastifyRequest } from 'fastify';

export const maxMessageBytes = 65_536;
const highWaterBytes = 262_144;
const pingMs = 30_000;
/** How long a client may take to say goodbye when the server closes. */
const partingMs = 500;
const closeNormal = 1000;
const closeGoingAway = 1001;
const closeFailed = 1011;

/** The only subprotocol that there is, as viewers of VNC in a browser ask for it. None is as good. */
export const chooseProtocol = (offered: Set<string>): string | false => (offered.has('binary') ? 'binary' : false);

export function joinConsole(socket: WebSocket, stream: Duplex, signal: AbortSignal): void {
  const close = (code: number, reason: string) => {
    clearInterval(pinging);
    stream.destroy();
    socket.close(code, reason);
  };
  const pinging = keepAlive(socket);
  stream.on('data', (chunk: Buffer) => {
    socket.send(chunk, { binary: true }, () => socket.bufferedAmount < highWaterBytes && stream.resume());
    if (socket.bufferedAmount >= highWaterBytes) stream.pause();
  });
  socket.on('message', (message: Buffer) => {
    if (stream.writable && !stream.write(message)) socket.pause();
  });
  stream.on('drain', () => socket.resume());
  stream.on('end', () => close(closeNormal, 'the console has ended'));
  stream.on('error', () => close(closeFailed, 'the console has failed'));
  stream.on('close', () => close(closeNormal, 'the console has ended'));
  socket.on('close', () => close(closeNormal, ''));
  const leave = () => {
    close(closeGoingAway, 'the server closes');
    setTimeout(() => socket.terminate(), partingMs).unref();
  };
  // It may have ended while the connection was made.
  if (stream.destroyed) close(closeNormal, 'the console has ended');
  else if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  socket.on('close', () => signal.removeEventListener('abort', leave));
}

/** Cuts the connection when a ping got no answer until the next. */
function keepAlive(socket: WebSocket): NodeJS.Timeout {
  let alive = true;
  socket.on('pong', () => {
    alive = true;
  });
  return setInterval(() => {
    if (!alive) return socket.terminate();
    alive = false;
    socket.ping();
  }, pingMs);
}

/**
 * A browser says which page opens a WebSocket, and does not ask the server first as it does for other requests.
 * @throws Forbidden the page is of another origin
 * @throws InvalidArgument the request does not upgrade
 */
export function checkUpgrade(request: FastifyRequest): void {
  if (!request.ws) {
    throw new VirgaError('InvalidArgument', {
      detail: 'This address is a WebSocket.',
      action: 'Open it with virga console, or with a WebSocket client.',
    });
  }
  const { origin } = request.headers;
  if (origin === undefined || hostOf(origin) === request.headers.host) return;
  throw new VirgaError('Forbidden', {
    detail: 'A page of another origin may not open a console.',
    action: 'Open it from the console of this server, or with virga console.',
  });
}

const hostOf = (origin: string) => (URL.canParse(origin) ? new URL(origin).host : undefined);

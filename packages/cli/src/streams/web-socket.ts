// Opens a WebSocket of the server. What the server refuses is told in its own words.
import type { IncomingMessage } from 'node:http';
import { errorOf } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import { WebSocket } from 'ws';

const connectMs = 15_000;

/**
 * Answers a socket that is paused: what came together with the handshake must not be lost before somebody listens.
 * @throws VirgaError the server refuses, or cannot be reached
 */
export function connectWebSocket(url: URL, headers: Record<string, string> = {}): Promise<WebSocket> {
  const address = new URL(url);
  address.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(address, 'binary', { headers, handshakeTimeout: connectMs });
  return new Promise((resolve, reject) => {
    socket.once('open', () => {
      socket.pause();
      resolve(socket);
    });
    socket.once('error', (cause) => reject(brokenConsole(cause)));
    socket.once('unexpected-response', (_request, response) => {
      refusal(response).then(reject, reject);
    });
  });
}

export function brokenConsole(cause: Error): VirgaError {
  return new VirgaError('ServerUnreachable', {
    detail: `The console connection broke: ${cause.message}.`,
    action: 'Connect again.',
    cause,
  });
}

async function refusal(response: IncomingMessage): Promise<VirgaError> {
  const body = Buffer.concat(await Array.fromAsync(response, (chunk) => Buffer.from(chunk)));
  const { statusCode = 500, statusMessage = '' } = response;
  return errorOf(new Response(body, { status: statusCode, statusText: statusMessage }));
}

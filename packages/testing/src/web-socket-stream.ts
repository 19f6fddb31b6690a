// A WebSocket as a byte stream, for clients of consoles; and what a server answers that refuses to upgrade.
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Duplex } from 'node:stream';

export type OpenedWebSocket = { stream: Duplex /** What the server chose. */; protocol: string };

/** @param url of HTTP or WebSocket @throws Error the server refuses */
export async function openWebSocketStream(url: string | URL, protocols: string[] = []): Promise<OpenedWebSocket> {
  const socket = new WebSocket(String(url).replace(/^http/, 'ws'), protocols);
  socket.binaryType = 'arraybuffer';
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      socket.send(chunk);
      done();
    },
    final(done) {
      socket.close();
      done();
    },
    destroy(error, done) {
      socket.close();
      done(error);
    },
  });
  socket.addEventListener('message', ({ data }) => void stream.push(Buffer.from(data as ArrayBuffer)));
  socket.addEventListener('close', () => void stream.push(null));
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error(`the server refuses ${url}`)));
  });
  return { stream, protocol: socket.protocol };
}

/** Asks for a WebSocket that is to be refused. */
export async function refusedUpgrade(
  url: string | URL,
  headers: Record<string, string> = {},
): Promise<{ status: number; problem: Record<string, unknown> }> {
  const asked = request(url, {
    // The server is done with the connection when it has refused.
    agent: false,
    headers: {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
      ...headers,
    },
  });
  asked.once('upgrade', (_response, socket) => socket.destroy(new Error('the server has upgraded')));
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const body = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
  return { status: response.statusCode ?? 0, problem: JSON.parse(body) as Record<string, unknown> };
}

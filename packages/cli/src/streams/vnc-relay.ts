// Lets a VNC viewer of this machine see the screen of an instance: listens where only this machine can connect, and passes
// bytes to the server, with a ticket of its own for each viewer. One viewer at a time; whoever comes meanwhile is let go.
import { once } from 'node:events';
import { chmod, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { Client } from '@virga/contract/client';
import type { Instance } from '@virga/contract/rest/instances';
import { createWebSocketStream } from 'ws';
import { connectWebSocket } from './web-socket.ts';

export type VncRelay = AsyncDisposable & {
  /** What to give to a viewer, such as `vnc://127.0.0.1:5901`. */
  address: string;
  /** Resolves when a viewer has left. Rejects when the server refused one. */
  nextEnd(): Promise<void>;
};

export type VncRelayOptions = {
  client: Client;
  server: string;
  instance: Instance;
  /** Default a free one. */
  port?: number | undefined;
  /** Listens on a unix socket instead. */
  socketPath?: string | undefined;
};

export async function startVncRelay(options: VncRelayOptions): Promise<VncRelay> {
  const { port = 0, socketPath } = options;
  let viewer: Socket | undefined;
  const waiting = new Set<PromiseWithResolvers<void>>();
  const tell = (settle: (one: PromiseWithResolvers<void>) => void) => {
    for (const one of waiting) settle(one);
    waiting.clear();
  };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (viewer !== undefined) return void socket.destroy();
    viewer = socket;
    relay(options, socket)
      .then(
        () => tell(({ resolve }) => resolve()),
        (error) => tell(({ reject }) => reject(error)),
      )
      .finally(() => {
        socket.destroy();
        viewer = undefined;
      });
  });
  server.listen(socketPath === undefined ? { host: '127.0.0.1', port } : { path: socketPath });
  await once(server, 'listening');
  if (socketPath !== undefined) await chmod(socketPath, 0o600);
  return {
    address:
      socketPath === undefined
        ? `vnc://127.0.0.1:${(server.address() as AddressInfo).port}`
        : `vnc+unix://${socketPath}`,
    nextEnd() {
      const ended = Promise.withResolvers<void>();
      waiting.add(ended);
      return ended.promise;
    },
    async [Symbol.asyncDispose]() {
      viewer?.destroy();
      const closed = once(server, 'close');
      server.close();
      await closed;
      if (socketPath !== undefined) await rm(socketPath, { force: true });
    },
  };
}

async function relay({ client, server, instance }: VncRelayOptions, viewer: Socket): Promise<void> {
  viewer.pause();
  const { path } = await client.createConsoleTicket({ params: { id: instance.id }, body: { kind: 'vnc' } });
  const socket = await connectWebSocket(new URL(path, server));
  const screen = createWebSocketStream(socket);
  socket.resume();
  // However one of them ends, it is the end: a viewer that is closed is no failure.
  await Promise.allSettled([pipeline(viewer, screen), pipeline(screen, viewer)]);
  socket.terminate();
}

// A unix socket that leads to another one and can be cut, so that one agent loses its hypervisor while everybody else
// keeps it. Owns its socket file.
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';

export type SocketRelay = {
  path: string;
  /** Breaks what is open, and refuses what comes. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  close(): Promise<void>;
};

export async function startSocketRelay(path: string, target: string): Promise<SocketRelay> {
  const open = new Set<Socket>();
  const join = (socket: Socket, other: Socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      open.delete(socket);
      other.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect(target);
    join(client, upstream);
    join(upstream, client);
    client.pipe(upstream).pipe(client);
  });
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      rmSync(path, { force: true });
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    });
  const cut = () =>
    new Promise<void>((resolve) => {
      for (const socket of open) socket.destroy();
      server.close(() => resolve());
    });
  await listen();
  return { path, cut, restore: listen, close: cut };
}

// Whether a port can be listened on, found out before anything is started that would have to be taken back.
import { createServer } from 'node:net';
import { VirgaError } from '@virga/contract/errors';
import type { Listen } from './server-settings.ts';

/** @throws PortInUse | Forbidden | InvalidArgument (no such address on this machine) */
export async function assertCanListen({ host, port }: Listen): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, resolve);
    });
  } catch (cause) {
    throw listenError({ host, port }, cause);
  } finally {
    server.close();
  }
}

/** What a failure to listen means to a person. Any other error is answered as it is. */
export function listenError({ host, port }: Listen, cause: unknown): unknown {
  const where = `${host}:${port}`;
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new VirgaError('PortInUse', {
        detail: `Something else listens on ${where} already.`,
        action: `See what it is with ss -ltnp sport = :${port}, or choose another port with --port or --listen.`,
        cause,
      });
    case 'EACCES':
      return new VirgaError('Forbidden', {
        detail: `This user may not listen on ${where}.`,
        action: 'Run it as root, or choose a port from 1024 on.',
        cause,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new VirgaError('InvalidArgument', {
        detail: `${host} is no address of this machine.`,
        action: 'Listen on one that ip address shows, on 127.0.0.1, or on 0.0.0.0.',
        cause,
      });
    default:
      return cause;
  }
}

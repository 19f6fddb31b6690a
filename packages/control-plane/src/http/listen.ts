// Takes the port, or says in one sentence why that cannot be.
import type { AddressInfo } from 'node:net';
import { VirgaError } from '@virga/contract/errors';
import type { FastifyInstance } from 'fastify';

export type Listen = { host: string /** 0: any free one */; port: number };

/**
 * @returns the address to reach it under, such as `http://127.0.0.1:8470`
 * @throws PortInUse the port is taken, or may not be taken by this user
 */
export async function listen(app: FastifyInstance, { host, port }: Listen): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw refusal(error, host, port);
  }
  const { port: taken } = app.server.address() as AddressInfo;
  return `http://${reachable(host)}:${taken}`;
}

function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function refusal(cause: unknown, host: string, port: number): unknown {
  const action = 'Choose another with --listen host:port.';
  switch ((cause as { code?: string }).code) {
    case 'EADDRINUSE':
      return new VirgaError('PortInUse', {
        detail: `Port ${port} on ${host} is used by another program.`,
        action: 'End that program (ss -ltnp shows it), or choose another port with --listen.',
        cause,
      });
    case 'EACCES':
      return new VirgaError('PortInUse', { detail: `This user may not listen on port ${port}.`, action, cause });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new VirgaError('PortInUse', { detail: `This machine has no address ${host}.`, action, cause });
    default:
      return cause;
  }
}

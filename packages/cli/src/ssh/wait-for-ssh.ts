// Waiting until an SSH server greets. A port that accepts and stays silent is not one yet.
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';

export type SshEndpoint = { instanceName: string; address: string; port: number };

/** Where guests listen: `VIRGA_SSH_PORT`, for clouds whose images use another port, else 22. */
export function sshPort(env: NodeJS.ProcessEnv): number {
  const port = Number(env.VIRGA_SSH_PORT || 22);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new VirgaError('InvalidArgument', {
    detail: `VIRGA_SSH_PORT is ${env.VIRGA_SSH_PORT}, which is no port.`,
    action: 'Set it to a number from 1 to 65535, or unset it.',
  });
}

/** A guest that boots answers the next try sooner than the kernel's own repetition of one that it missed. */
const connectMs = 500;
const attemptMs = 5000;
const pauseMs = 100;

/**
 * Waits until something at the endpoint greets with `SSH-`.
 * @throws GuestUnavailable nothing did in time; says what was last seen
 */
export async function waitForSsh(endpoint: SshEndpoint, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await greeting(endpoint, Math.min(attemptMs, Math.max(1, deadline - performance.now())), signal);
    if (seen === 'greeted') return;
    signal.throwIfAborted();
    if (performance.now() + pauseMs >= deadline) throw silentGuest(endpoint, timeoutMs, seen);
    await delay(pauseMs, undefined, { signal });
  }
}

/** Tries once. Answers `greeted`, or what was seen instead. */
function greeting({ address, port }: SshEndpoint, timeoutMs: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    let seen = 'no answer';
    const socket = connect({ host: address, port, signal });
    const finish = (result: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    let timer = setTimeout(() => finish(seen), Math.min(connectMs, timeoutMs));
    let text = '';
    socket.on('connect', () => {
      seen = 'an open port without an SSH greeting';
      clearTimeout(timer);
      timer = setTimeout(() => finish(seen), timeoutMs);
    });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.startsWith('SSH-')) finish('greeted');
      else if (text.length > 255) finish(seen);
    });
    socket.on('close', () => finish(seen));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}

function silentGuest({ instanceName, address, port }: SshEndpoint, timeoutMs: number, seen: string): VirgaError {
  return new VirgaError('GuestUnavailable', {
    detail: `${instanceName} does not answer SSH at ${address} port ${port} after ${Math.round(timeoutMs / 1000)} s (${seen}).`,
    action: `Look at what it printed with virga console ${instanceName} --log, or give it longer with --timeout.`,
  });
}

// Which services of the machine there are, and what starts them: systemd where it is process 1, else we ourselves.
import { existsSync } from 'node:fs';
import { connect } from 'node:net';

/** True where systemd runs the machine, as sd_booted(3) tells. */
export const hasSystemd = () => existsSync('/run/systemd/system');

/** True when something takes connections on a unix socket. */
export function answersOn(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Waits until something takes connections on a unix socket; false when it does not within `timeoutMs`. */
export async function waitForSocket(socketPath: string, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!(await answersOn(socketPath))) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}

// Waiting for what a host does in its own time.
import { setTimeout } from 'node:timers/promises';

const pollMs = 20;

/**
 * Calls `look` until it answers something.
 * @param timeoutMs default 60_000
 * @throws Error it took longer
 */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await look();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await setTimeout(pollMs);
  }
}

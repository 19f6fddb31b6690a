// Creating something exactly once although an answer may get lost on its way.
import { randomUUID } from 'node:crypto';
import { VirgaError } from '@virga/contract/errors';

/**
 * Sends a request under a fresh idempotency key, and once more under the same key when the connection broke: the server
 * then answers what it answered the first time. A request that ran out of time is not sent again.
 */
export async function idempotent<T>(send: (request: { idempotencyKey: string }) => Promise<T>): Promise<T> {
  const request = { idempotencyKey: randomUUID() };
  try {
    return await send(request);
  } catch (error) {
    const broken =
      error instanceof VirgaError &&
      error.code === 'ServerUnreachable' &&
      !(error.cause instanceof Error && error.cause.name === 'TimeoutError');
    if (!broken) throw error;
    return send(request);
  }
}

// Waiting for an operation. A server that restarts meanwhile is waited for; what the operation does goes on without us.
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@virga/contract/client';
import { fromProblem, VirgaError } from '@virga/contract/errors';
import type { OperationId } from '@virga/contract/ids';
import type { Operation } from '@virga/contract/rest/operations';

export type FollowOptions = {
  signal: AbortSignal;
  /** Called with each state that was seen, and with a message when the server does not answer for a while. */
  onChange: (message: string, percent: number) => void;
  /** How long the server may be away before the wait is given up. Default 60_000. */
  absenceMs?: number | undefined;
  /** How long one request may wait at the server. Default 1, so that progress moves. */
  waitSeconds?: number | undefined;
};

const firstPauseMs = 250;

/**
 * Waits until the operation has ended.
 * @throws the error that it failed with, or AbortError when the signal aborts
 */
export async function followOperation(client: Client, id: OperationId, options: FollowOptions): Promise<Operation> {
  const { signal, onChange, absenceMs = 60_000, waitSeconds = 1 } = options;
  let absentSinceMs: number | undefined;
  let pauseMs = firstPauseMs;
  let percent = 0;
  for (;;) {
    signal.throwIfAborted();
    const askedMs = performance.now();
    try {
      const operation = await client.getOperation({ params: { id }, query: { waitSeconds } }, { signal });
      absentSinceMs = undefined;
      pauseMs = firstPauseMs;
      percent = operation.progressPercent;
      if (operation.state === 'succeeded') return operation;
      if (operation.state === 'failed') throw failureOf(operation);
      onChange(operation.message, percent);
      if (performance.now() - askedMs < firstPauseMs) await delay(firstPauseMs, undefined, { signal });
    } catch (error) {
      if (!isAbsence(error)) throw error;
      absentSinceMs ??= performance.now();
      if (performance.now() - absentSinceMs > absenceMs) throw error;
      onChange('waiting for the server', percent);
      await delay(pauseMs, undefined, { signal });
      pauseMs = Math.min(2 * pauseMs, 5000);
    }
  }
}

function isAbsence(error: unknown): boolean {
  return error instanceof VirgaError && (error.code === 'ServerUnreachable' || error.code === 'StoreUnavailable');
}

function failureOf(operation: Operation): VirgaError {
  if (operation.error) return fromProblem(operation.error);
  return new VirgaError('OperationFailed', {
    detail: `The operation ${operation.id} failed: ${operation.message}`,
    action: `Run virga operations show ${operation.id}.`,
  });
}

// Ends what a step does when somebody has asked for that: a commit tells of it, and it is looked at where that may have been missed.
import type { VirgaError } from '@virga/contract/errors';
import type { Channel } from '../store/notifications.ts';
import type { ActContext } from './workflow.ts';

export type Cancellation = {
  /** On which the id is told. */
  channel: Channel;
  id: string;
  isCancelled(): Promise<boolean>;
  /** What the step fails with. */
  error(cause: unknown): VirgaError;
};

/** @param work given the signal of the step, which ends with the cancellation too */
export async function untilCancelled<T>(
  { deps, signal }: Pick<ActContext<unknown>, 'deps' | 'signal'>,
  { channel, id, isCancelled, error }: Cancellation,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const cancelling = new AbortController();
  const look = async () => {
    if (await isCancelled()) cancelling.abort();
  };
  const lookAgain = () => void look().catch(() => {});
  const unsubscribe = [
    deps.notifications.subscribe(channel, (told) => told === id && lookAgain()),
    deps.notifications.onReconnected(lookAgain),
  ];
  try {
    await look();
    cancelling.signal.throwIfAborted();
    return await work(AbortSignal.any([signal, cancelling.signal]));
  } catch (cause) {
    if (signal.aborted || !cancelling.signal.aborted) throw cause;
    throw error(cause);
  } finally {
    for (const stop of unsubscribe) stop();
  }
}

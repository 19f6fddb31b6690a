// Turns events that come by callback into an async iterator with bounded memory. Owns the queue: when the reader is too
// slow and the queue is full, events are dropped and the iterator ends with EventsDropped after what was queued.
import { EventsDropped } from '../errors.ts';
import type { Subscription } from './event-hub.ts';

export interface EventQueueOptions {
  /** Most events that wait for the reader; default 1024. */
  capacity?: number | undefined;
  /** Ends the iteration without an error. */
  signal?: AbortSignal | undefined;
}

const defaultCapacity = 1024;

/**
 * Iterates over what `subscribe` delivers, in order. Ends without error when the signal fires, with the error of `closed`
 * when the connection is lost.
 */
export async function* queueEvents<E>(
  subscribe: (deliver: (event: E) => void) => Promise<readonly Subscription[]>,
  closed: Promise<Error | undefined>,
  options: EventQueueOptions = {},
): AsyncGenerator<E, void, void> {
  const { capacity = defaultCapacity, signal } = options;
  const queue: E[] = [];
  let ended = false;
  let failure: Error | undefined;
  let wake = (): void => undefined;
  const end = (error?: Error): void => {
    if (ended) return;
    ended = true;
    failure = error;
    wake();
  };
  const onAbort = (): void => end();
  signal?.addEventListener('abort', onAbort, { once: true });
  void closed.then(end);
  if (signal?.aborted) return;
  const subscriptions = await subscribe((event) => {
    if (ended) return;
    queue.push(event);
    if (queue.length > capacity) {
      queue.pop();
      end(new EventsDropped(capacity));
    }
    wake();
  });
  try {
    while (true) {
      while (queue.length > 0) yield queue.shift()!;
      if (ended) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure) throw failure;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await Promise.all(subscriptions.map((subscription) => subscription.unsubscribe()));
  }
}

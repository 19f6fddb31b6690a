// Server-sent events: turns a feed into the text of a stream, with a heartbeat while nothing happens so that proxies and
// clients know it lives. Pulled by the socket, so a slow reader slows only its own feed.
import type { EventFeed } from '../events/follow-events.ts';

const heartbeatMs = 15_000;
const reconnectMs = 2_000;

/** @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
export async function* eventStreamText({ cursor, events }: EventFeed): AsyncGenerator<string> {
  // An id without data is no event, but a client that reconnects sends it: nothing is missed from the first moment on.
  yield `retry: ${reconnectMs}\nid: ${cursor}\n\n`;
  const iterator = events[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    for (;;) {
      const result = await orHeartbeat(next);
      if (result === 'heartbeat') {
        yield ': heartbeat\n\n';
        continue;
      }
      if (result.done) return;
      next = iterator.next();
      yield `id: ${result.value.cursor}\ndata: ${JSON.stringify(result.value)}\n\n`;
    }
  } finally {
    await iterator.return?.();
  }
}

async function orHeartbeat<T>(next: Promise<T>): Promise<T | 'heartbeat'> {
  let timer: NodeJS.Timeout | undefined;
  const heartbeat = new Promise<'heartbeat'>((resolve) => {
    timer = setTimeout(resolve, heartbeatMs, 'heartbeat');
  });
  try {
    return await Promise.race([next, heartbeat]);
  } finally {
    clearTimeout(timer);
  }
}

// Following events: a server-sent event stream that connects again by itself and goes on where it was, so that nothing is
// missed and nothing comes twice. Ends only by the signal, or by an answer that another try cannot better.
import { setTimeout as delay } from 'node:timers/promises';
import { authHeaders, type ClientOptions, errorOf, routeUrl } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import { api } from '@virga/contract/rest/api';
import type { Event } from '@virga/contract/rest/events';
import { createEventStreamParser } from './server-sent-events.ts';

export type FollowEventsOptions = {
  connection: ClientOptions;
  category?: 'audit' | 'lifecycle' | undefined;
  resourceId?: string | undefined;
  /** Cursor of the event to go on after; default: from now on. */
  after?: string | undefined;
  signal: AbortSignal;
  /** Told when the stream broke, with the pause before the next try. */
  onBreak?: ((reason: string, pauseMs: number) => void) | undefined;
  /** A stream that is silent for this long, without even a comment, is taken for dead. Default 60_000. */
  silenceMs?: number | undefined;
};

const firstPauseMs = 250;
const longestPauseMs = 5000;

/** @throws VirgaError the server refused, such as Unauthenticated or Forbidden */
export async function* followEvents(options: FollowEventsOptions): AsyncGenerator<Event, void, undefined> {
  const { signal } = options;
  let lastEventId = options.after ?? '';
  let pauseMs = firstPauseMs;
  while (!signal.aborted) {
    let reason = 'the server closed the stream';
    let askedPauseMs: number | undefined;
    const silence = new AbortController();
    const watchdog = setTimeout(() => silence.abort(), options.silenceMs ?? 60_000);
    try {
      const body = await open(options, lastEventId, AbortSignal.any([signal, silence.signal]));
      const parser = createEventStreamParser(lastEventId);
      for await (const text of body.pipeThrough(new TextDecoderStream())) {
        watchdog.refresh();
        pauseMs = firstPauseMs;
        for (const message of parser.push(text)) {
          lastEventId = message.lastEventId;
          yield JSON.parse(message.data) as Event;
        }
        lastEventId = parser.lastEventId;
        askedPauseMs = parser.retryMs;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isPassing(error)) throw error;
      reason = silence.signal.aborted ? 'the stream went silent' : 'the connection broke';
    } finally {
      clearTimeout(watchdog);
    }
    const nextPauseMs = Math.max(pauseMs, Math.min(askedPauseMs ?? 0, longestPauseMs));
    options.onBreak?.(reason, nextPauseMs);
    await delay(nextPauseMs, undefined, { signal }).catch(() => {});
    pauseMs = Math.min(2 * pauseMs, longestPauseMs);
  }
}

async function open(options: FollowEventsOptions, lastEventId: string, signal: AbortSignal) {
  const { connection, category, resourceId } = options;
  const query = { category, resourceId, ...(lastEventId ? { after: lastEventId } : {}) };
  const response = await (connection.fetch ?? fetch)(routeUrl(connection.server, api.followEvents, { query }), {
    headers: {
      ...authHeaders(connection),
      accept: 'text/event-stream',
      ...(lastEventId ? { 'last-event-id': lastEventId } : {}),
    },
    signal,
  });
  if (!response.ok) throw await errorOf(response);
  if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
    await response.body?.cancel();
    throw new VirgaError('OperationFailed', {
      detail: `${connection.server} does not answer with an event stream.`,
      action: 'Check that the address is that of a Virga server.',
    });
  }
  return response.body;
}

/** True when another try can help: the connection broke, or the server says so. */
function isPassing(error: unknown): boolean {
  if (error instanceof VirgaError) return error.kind.retryable;
  return error instanceof TypeError || (error instanceof Error && error.name === 'AbortError');
}

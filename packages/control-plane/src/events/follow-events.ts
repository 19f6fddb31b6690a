// Following the event log from a cursor on, for as long as somebody listens. Woken by notifications; what an older
// transaction still holds back is looked for again, a little later each time.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Event } from '@virga/contract/rest/events';
import { openAlarm } from '../store/alarm.ts';
import type { Db } from '../store/database.ts';
import type { Notifications } from '../store/notifications.ts';
import { type EventFilter, endOfLog, hasUnsettledEvents, readCursor, readEvents } from './event-log.ts';

export type EventFeed = {
  /** Where the feed starts: who resumes from here misses nothing. */
  cursor: string;
  events: AsyncIterable<Event>;
};

const pageSize = 100;
const firstRetryMs = 10;
const lastRetryMs = 1_000;

/**
 * Events after `after`, or from now on, until the signal aborts. Each once and in log order.
 * @throws InvalidArgument `after` is no cursor
 */
export async function followEvents(
  { db, notifications }: { db: Db; notifications: Notifications },
  filter: EventFilter,
  after: string | undefined,
  signal: AbortSignal,
): Promise<EventFeed> {
  if (after !== undefined) readCursor(after);
  const cursor = after ?? (await endOfLog(db));
  return { cursor, events: follow(db, notifications, filter, cursor, signal) };
}

async function* follow(
  db: Db,
  notifications: Notifications,
  filter: EventFilter,
  start: string,
  signal: AbortSignal,
): AsyncGenerator<Event> {
  const alarm = openAlarm(notifications, 'events', signal);
  let cursor = start;
  let retryMs = firstRetryMs;
  try {
    while (!signal.aborted) {
      // Asked before reading: what is settled now is in what is read next, and what comes later rings the alarm.
      const isUnsettled = await hasUnsettledEvents(db);
      const events = await readEvents(db, filter, { after: cursor, limit: pageSize });
      for (const event of events) {
        yield event;
        cursor = event.cursor;
      }
      if (events.length > 0) retryMs = firstRetryMs;
      if (events.length === pageSize) continue;
      if (isUnsettled) {
        await sleep(retryMs, undefined, { signal }).catch(() => {});
        retryMs = Math.min(retryMs * 2, lastRetryMs);
      } else {
        retryMs = firstRetryMs;
        await alarm.rung();
      }
    }
  } finally {
    alarm.stop();
  }
}

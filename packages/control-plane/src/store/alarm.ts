// For who waits in a loop of looking and waiting: a notification, or a connection that was broken and may have missed one, rings.
// A ring that comes while nobody waits is remembered, so that nothing is told between looking and waiting in vain.
import type { Channel, Notifications } from './notifications.ts';

export type Alarm = {
  /** Until it has rung since the last time, or the signal has ended. */
  rung(): Promise<void>;
  stop(): void;
};

/** @param isMeant by what it is told of; default all that the channel tells */
export function openAlarm(
  notifications: Notifications,
  channel: Channel,
  signal: AbortSignal,
  isMeant: (payload: string) => boolean = () => true,
): Alarm {
  let ringing = Promise.withResolvers<void>();
  const ring = () => ringing.resolve();
  const unsubscribe = [
    notifications.subscribe(channel, (payload) => isMeant(payload) && ring()),
    notifications.onReconnected(ring),
    () => signal.removeEventListener('abort', ring),
  ];
  signal.addEventListener('abort', ring, { once: true });
  return {
    async rung() {
      if (signal.aborted) return;
      await ringing.promise;
      ringing = Promise.withResolvers<void>();
    },
    stop: () => {
      for (const end of unsubscribe) end();
    },
  };
}

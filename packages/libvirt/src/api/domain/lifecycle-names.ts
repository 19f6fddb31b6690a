// The vocabulary of lifecycle events: what happened to a domain, and how. A place in a list is libvirt's number.

const details = {
  defined: ['added', 'updated', 'renamed', 'from-snapshot'],
  undefined: ['removed', 'renamed'],
  started: ['booted', 'migrated', 'restored', 'from-snapshot', 'wakeup', 'recovered'],
  suspended: [
    ...['paused', 'migrated', 'io-error', 'watchdog', 'restored', 'from-snapshot', 'api-error', 'postcopy'],
    ...['postcopy-failed'],
  ],
  resumed: ['unpaused', 'migrated', 'from-snapshot', 'postcopy', 'postcopy-failed'],
  stopped: ['shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'from-snapshot', 'recreated'],
  shutdown: ['finished', 'guest', 'host'],
  'pm-suspended': ['memory', 'disk'],
  crashed: ['panicked', 'crashloaded'],
} as const;

type Names = typeof details;
const names = Object.keys(details) as (keyof Names)[];

/** `{ event: 'stopped', detail: 'destroyed' }` and the like. `shutdown` is the guest going down; `stopped` follows it. */
export type LifecycleEvent =
  | { [E in keyof Names]: { event: E; detail: Names[E][number] | 'unknown' } }[keyof Names]
  | { event: 'unknown'; detail: 'unknown' };

export function lifecycleEvent(event: number, detail: number): LifecycleEvent {
  const name = names[event];
  if (name === undefined) return { event: 'unknown', detail: 'unknown' };
  return { event: name, detail: details[name][detail] ?? 'unknown' } as LifecycleEvent;
}

// libvirt's domain states and the reasons for them, as string literals. Owns the tables only (libvirt-domain.h); a place
// in a list is the number on the wire.

const stateNames = [
  'no-state',
  'running',
  'blocked',
  'paused',
  'shutting-down',
  'off',
  'crashed',
  'pm-suspended',
] as const;

const reasonNames = {
  'no-state': ['unknown'],
  running: [
    ...['unknown', 'booted', 'migrated', 'restored', 'from-snapshot', 'unpaused', 'migration-canceled'],
    ...['save-canceled', 'wakeup', 'crashed', 'postcopy', 'postcopy-failed'],
  ],
  blocked: ['unknown'],
  paused: [
    ...['unknown', 'user', 'migration', 'save', 'dump', 'io-error', 'watchdog', 'from-snapshot', 'shutting-down'],
    ...['snapshot', 'crashed', 'starting-up', 'postcopy', 'postcopy-failed', 'api-error'],
  ],
  'shutting-down': ['unknown', 'user'],
  off: ['unknown', 'shutdown', 'destroyed', 'crashed', 'migrated', 'saved', 'failed', 'from-snapshot', 'daemon'],
  crashed: ['unknown', 'panicked'],
  'pm-suspended': ['unknown'],
  unknown: ['unknown'],
} as const;

/** `off` is libvirt's SHUTOFF, `shutting-down` its SHUTDOWN. */
export type DomainStateName = (typeof stateNames)[number] | 'unknown';
export type DomainStateReason = (typeof reasonNames)[DomainStateName][number];

export interface DomainState {
  state: DomainStateName;
  /** Why it is in that state; 'unknown' also for reasons of a newer libvirt. */
  reason: DomainStateReason;
}

export const domainStateName = (state: number): DomainStateName => stateNames[state] ?? 'unknown';

export function domainState(state: number, reason: number): DomainState {
  const name = domainStateName(state);
  return { state: name, reason: reasonNames[name][reason] ?? 'unknown' };
}

// Domain events, with libvirt's numbers turned into string literals. Owns the vocabulary; order and delivery are the
// event hub's. 'unknown' stands for numbers of a newer libvirt.
import type { CallOptions } from '../../connection/call-table.ts';
import type { Subscription } from '../../connection/event-hub.ts';
import { type EventQueueOptions, queueEvents } from '../../connection/event-queue.ts';
import type { Session } from '../../connection/session.ts';
import { domainEventKinds as kinds } from '../../protocol/domain/events.ts';
import { parameterRecord } from '../../protocol/typed-parameters.ts';
import type { Infer } from '../../xdr/schema.ts';
import { nameOf } from '../flags.ts';
import { lifecycleEvent } from './lifecycle-names.ts';

type Message<K extends keyof typeof kinds> = Infer<(typeof kinds)[K]['message']>;

const watchdogActions = ['none', 'pause', 'reset', 'poweroff', 'shutdown', 'debug', 'inject-nmi'] as const;
const ioErrorActions = ['none', 'pause', 'report'] as const;
const graphicsPhases = ['connect', 'initialize', 'disconnect'] as const;
const diskChangeReasons = ['missing-on-start', 'dropped-on-start'] as const;
const trayStates = ['open', 'closed'] as const;
const blockJobTypes = ['unknown', 'pull', 'copy', 'commit', 'active-commit', 'backup'] as const;
const blockJobStatuses = ['completed', 'failed', 'canceled', 'ready'] as const;
const agentStates = ['unknown', 'connected', 'disconnected'] as const;
const agentReasons = ['unknown', 'domain-started', 'channel'] as const;
const metadataTypes = ['description', 'title', 'element'] as const;
const memoryFailureRecipients = ['hypervisor', 'guest'] as const;
const memoryFailureActions = ['ignore', 'inject', 'fatal', 'reset'] as const;

const withAlias =
  <K extends string>(kind: K) =>
  ({ domain, deviceAlias }: Message<'device-added'>) => {
    return { kind, domain, deviceAlias };
  };

/** How the message of each kind becomes the event that listeners get. */
const events = {
  lifecycle: ({ domain, event, detail }: Message<'lifecycle'>) => ({
    kind: 'lifecycle' as const,
    domain,
    ...lifecycleEvent(event, detail),
  }),
  reboot: ({ domain }: Message<'reboot'>) => ({ kind: 'reboot' as const, domain }),
  'rtc-change': ({ domain, offset }: Message<'rtc-change'>) => ({
    kind: 'rtc-change' as const,
    domain,
    offsetSeconds: Number(offset),
  }),
  watchdog: ({ domain, action }: Message<'watchdog'>) => ({
    kind: 'watchdog' as const,
    domain,
    action: nameOf(watchdogActions, action),
  }),
  graphics: ({ callbackId: _, phase, ...rest }: Message<'graphics'>) => ({
    kind: 'graphics' as const,
    ...rest,
    phase: nameOf(graphicsPhases, phase),
  }),
  'io-error': ({ domain, sourcePath, deviceAlias, action, reason }: Message<'io-error'>) => ({
    kind: 'io-error' as const,
    domain,
    sourcePath,
    deviceAlias,
    action: nameOf(ioErrorActions, action),
    /** `enospc` when the storage is full, else empty. */
    reason,
  }),
  'control-error': ({ domain }: Message<'control-error'>) => ({ kind: 'control-error' as const, domain }),
  'disk-change': ({ domain, oldPath, newPath, deviceAlias, reason }: Message<'disk-change'>) => ({
    kind: 'disk-change' as const,
    domain,
    oldPath,
    newPath,
    deviceAlias,
    reason: nameOf(diskChangeReasons, reason),
  }),
  'tray-change': ({ domain, deviceAlias, reason }: Message<'tray-change'>) => ({
    kind: 'tray-change' as const,
    domain,
    deviceAlias,
    tray: nameOf(trayStates, reason),
  }),
  'pm-wakeup': ({ domain }: Message<'pm-wakeup'>) => ({ kind: 'pm-wakeup' as const, domain }),
  'pm-suspend': ({ domain }: Message<'pm-suspend'>) => ({ kind: 'pm-suspend' as const, domain }),
  'balloon-change': ({ domain, actualKib }: Message<'balloon-change'>) => ({
    kind: 'balloon-change' as const,
    domain,
    actualKib,
  }),
  'device-removed': withAlias('device-removed'),
  'block-job': ({ domain, disk, type, status }: Message<'block-job'>) => ({
    kind: 'block-job' as const,
    domain,
    /** Target name of the disk, e.g. `vda`. */
    disk,
    type: nameOf(blockJobTypes, type),
    status: nameOf(blockJobStatuses, status),
  }),
  tunable: ({ domain, parameters }: Message<'tunable'>) => ({
    kind: 'tunable' as const,
    domain,
    parameters: parameterRecord(parameters),
  }),
  'agent-lifecycle': ({ domain, state, reason }: Message<'agent-lifecycle'>) => ({
    kind: 'agent-lifecycle' as const,
    domain,
    state: nameOf(agentStates, state),
    reason: nameOf(agentReasons, reason),
  }),
  'device-added': withAlias('device-added'),
  'migration-iteration': ({ domain, iteration }: Message<'migration-iteration'>) => ({
    kind: 'migration-iteration' as const,
    domain,
    iteration,
  }),
  'job-completed': ({ domain, parameters }: Message<'job-completed'>) => ({
    kind: 'job-completed' as const,
    domain,
    parameters: parameterRecord(parameters),
  }),
  'device-removal-failed': withAlias('device-removal-failed'),
  'metadata-change': ({ domain, type, namespaceUri }: Message<'metadata-change'>) => ({
    kind: 'metadata-change' as const,
    domain,
    type: nameOf(metadataTypes, type),
    namespaceUri,
  }),
  'block-threshold': ({ callbackId: _, ...rest }: Message<'block-threshold'>) => ({
    kind: 'block-threshold' as const,
    ...rest,
  }),
  'memory-failure': ({ domain, recipient, action, flags }: Message<'memory-failure'>) => ({
    kind: 'memory-failure' as const,
    domain,
    recipient: nameOf(memoryFailureRecipients, recipient),
    action: nameOf(memoryFailureActions, action),
    actionRequired: (flags & 1) !== 0,
    recursive: (flags & 2) !== 0,
  }),
  'memory-device-size-change': ({ domain, deviceAlias, sizeBytes }: Message<'memory-device-size-change'>) => ({
    kind: 'memory-device-size-change' as const,
    domain,
    deviceAlias,
    sizeBytes,
  }),
} as const;

export type DomainEventKind = keyof typeof events;
/** The event of one kind, or of any of several. */
export type DomainEventOf<K extends DomainEventKind> = { [P in K]: ReturnType<(typeof events)[P]> }[K];
export type DomainEvent = DomainEventOf<DomainEventKind>;

export function domainEvents(session: Session) {
  function on<K extends DomainEventKind>(
    kind: K,
    listener: (event: DomainEventOf<K>) => void,
    options?: CallOptions,
  ): Promise<Subscription> {
    const convert = events[kind] as unknown as (message: unknown) => DomainEventOf<K>;
    return session.events.subscribe<unknown>(kinds[kind], (message) => listener(convert(message)), options);
  }

  return {
    /**
     * Calls `listener` for each event of a kind, of all domains. Resolves once libvirt will send them: what happens
     * after that is not missed. Events come in libvirt's order; one that a call caused may come before its answer or after.
     * After {@link ConnectionLost} nothing is delivered any more: connect, subscribe, then list anew.
     */
    on,

    /**
     * The same as an async iterator over several kinds, in order. A slow reader holds up to `capacity` events (default
     * 1024); beyond that the iterator ends with `EventsDropped`, and the reader must look at the domains anew.
     */
    events<K extends DomainEventKind>(
      eventKinds: readonly K[],
      options?: EventQueueOptions,
    ): AsyncGenerator<DomainEventOf<K>, void, void> {
      const subscribe = (deliver: (event: DomainEventOf<K>) => void): Promise<Subscription[]> =>
        Promise.all(eventKinds.map((kind) => on(kind, deliver)));
      return queueEvents(subscribe, session.closed, options);
    },
  };
}

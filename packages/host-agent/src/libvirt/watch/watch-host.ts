// What happens on the host, as a stream that outlives libvirtd: connects, tells all there is, then each change, and begins
// again when the connection is lost. Owns the reconnecting; what changed is read anew, never taken from the event itself.
import type { AgentEvent } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { AgentContext } from '../agent-context.ts';
import { hostBootId } from '../host/boot-id.ts';
import { hypervisorError } from '../hypervisor-errors.ts';
import { listSeenInstances } from '../instances/observed-instance.ts';
import { listNetworks } from '../networks/networks.ts';
import { ChangeReader } from './change-reader.ts';
import { EventQueue } from './event-queue.ts';

const firstRetryMs = 50;
/** Together with connecting and listing it must stay below the two seconds in which a change is to be told. */
const longestRetryMs = 500;
/** A libvirtd that hangs without closing the connection is found out by these. */
const keepalive = { intervalMs: 2_000, count: 2 };
const connectTimeoutMs = 10_000;

export async function* watchHost(
  context: AgentContext,
  cloudId: string,
  signal: AbortSignal,
): AsyncGenerator<AgentEvent, void, void> {
  const queue = new EventQueue<AgentEvent>();
  const end = () => queue.end();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) return;
  const stopped = new AbortController();
  const running = follow(context, cloudId, queue, AbortSignal.any([signal, stopped.signal]));
  try {
    yield* queue;
  } finally {
    signal.removeEventListener('abort', end);
    stopped.abort();
    await running;
  }
}

/** Fills the queue until the signal aborts. */
async function follow(
  context: AgentContext,
  cloudId: string,
  queue: EventQueue<AgentEvent>,
  signal: AbortSignal,
): Promise<void> {
  let retryMs = firstRetryMs;
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      await using connection = await context.hypervisor.dial({ signal, keepalive, connectTimeoutMs });
      const loss = await followConnection(context, connection, cloudId, queue, signal, () => {
        retryMs = firstRetryMs;
        told = undefined;
      });
      throw loss;
    } catch (error) {
      if (signal.aborted) return;
      const unreachable = unreachableEvent(error);
      // Once for each thing that is wrong, not for each try.
      if (told !== unreachable.detail) queue.push(unreachable);
      if (told === undefined) context.log.warn({ err: error }, 'libvirt is out of reach');
      told = unreachable.detail;
    }
    await context.clock.delay(retryMs, signal).catch(() => undefined);
    retryMs = Math.min(retryMs * 2, longestRetryMs);
  }
}

/** Follows one connection to its end. @returns why it ended */
async function followConnection(
  context: AgentContext,
  connection: Connection,
  cloudId: string,
  queue: EventQueue<AgentEvent>,
  signal: AbortSignal,
  onReady: () => void,
): Promise<unknown> {
  const ended = Promise.withResolvers<unknown>();
  const changes = new ChangeReader(context, connection, cloudId, queue, ended.resolve);
  // First the subscription, then the list: what happens in between is told by both.
  await Promise.all([
    connection.domains.on('lifecycle', ({ domain, event, detail }) => {
      changes.domainChanged(domain, { hasLeft: event === 'stopped' && detail === 'migrated' });
      if (event === 'defined' && detail === 'updated') changes.definitionChanged(domain);
    }),
    connection.domains.on('metadata-change', ({ domain }) => changes.domainChanged(domain)),
    // A guest that took its time has let go of a device: somebody waits for that.
    connection.domains.on('device-removed', ({ domain }) => changes.domainChanged(domain)),
    connection.domains.on('balloon-change', ({ domain }) => changes.domainChanged(domain)),
    connection.domains.on('memory-device-size-change', ({ domain }) => changes.domainChanged(domain)),
    connection.networks.on(({ network }) => changes.networkChanged(network)),
  ]);
  const [seen, networks] = await Promise.all([
    listSeenInstances(context, connection, cloudId),
    listNetworks(context, connection, cloudId),
  ]);
  queue.push({ type: 'ready', bootId: hostBootId(), instances: seen.map(({ instance }) => instance), networks });
  onReady();
  changes.begin(seen);
  void connection.closed.then((error) => ended.resolve(error ?? new Error('the connection was closed')));
  const onAbort = () => ended.resolve(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await ended.promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    changes.end();
  }
}

function unreachableEvent(error: unknown): Extract<AgentEvent, { type: 'unreachable' }> {
  const known = hypervisorError(error, 'watch the host');
  if (known instanceof VirgaError) return { type: 'unreachable', detail: known.detail, action: known.action };
  return { type: 'unreachable', detail: 'The connection to libvirt was lost.', action: 'See the log of libvirtd.' };
}

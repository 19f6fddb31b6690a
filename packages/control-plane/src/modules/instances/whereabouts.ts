// On which host an instance is, when its own may not have it any more because somebody has moved it with virsh. Asks every host
// before anything is said, since a guest that is started while it runs elsewhere ruins its disk. Changes nothing.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { HostSight } from './host-sight.ts';
import type { InstanceRow } from './instance-store.ts';

export type HostView = { host: RegisteredHost; sight: HostSight };

type Seen = Pick<ObservedInstance, 'state' | 'reason' | 'moving'>;
type Place = Pick<RegisteredHost, 'id' | 'name'>;

/** What is known of an instance: `here` is its own host, undefined while that is away. */
export type Sightings<P extends Place = Place> = {
  here: Seen | undefined;
  there: readonly { host: P; seen: Seen }[];
  /** Hosts that did not answer. */
  silent: readonly Place[];
};

/** `held`: nothing may be done to it anywhere, for a reason that is worth telling or for a moment only. */
export type Whereabouts<P extends Place = Place> =
  | { at: 'home' }
  | { at: 'other'; host: P; seen: Seen }
  | { at: 'held'; error?: VirgaError };

type Row = Pick<InstanceRow, 'name' | 'host_name' | 'desired' | 'power_generation' | 'converged_generation'>;

const isOn = ({ state }: Seen): boolean => state === 'running' || state === 'paused' || state === 'stopping';
const hasLeft = ({ reason }: Seen): boolean => reason === 'migrated';

/** Whether what its host last showed, or another host shows, makes it worth asking. */
export function mayHaveMoved(here: Seen | undefined, others: readonly HostView[], id: InstanceRow['id']): boolean {
  if (others.some(({ sight }) => (sight.get(id)?.state ?? 'absent') !== 'absent')) return true;
  if (here === undefined) return others.length > 0;
  return !isOn(here) && (hasLeft(here) || (others.length > 0 && here.state !== 'hibernated' && isUnexplained(here)));
}

/** It was not cut off, and did not end by itself. */
const isUnexplained = ({ state, reason }: Seen): boolean => state === 'absent' || reason === 'unknown';

/** Asks all hosts at once. */
export async function sightingsOf(
  id: InstanceRow['id'],
  home: HostView,
  others: readonly HostView[],
): Promise<Sightings<RegisteredHost>> {
  const look = ({ sight }: HostView) => sight.lookNow(id).catch(awayOnly);
  const [here, ...answers] = await Promise.all([home, ...others].map(look));
  const asked = others.map(({ host }, index) => ({ host, seen: answers[index] }));
  return {
    here,
    there: asked.flatMap(({ host, seen }) => (seen && seen.state !== 'absent' ? [{ host, seen }] : [])),
    silent: asked.filter(({ seen }) => seen === undefined).map(({ host }) => host),
  };
}

function awayOnly(error: unknown): undefined {
  if (!(error instanceof VirgaError) || error.code !== 'HostUnavailable') throw error;
}

export function whereabouts<P extends Place>(row: Row, { here, there, silent }: Sightings<P>): Whereabouts<P> {
  const on = there.filter(({ seen }) => isOn(seen));
  if (on.some(({ seen }) => seen.moving)) return { at: 'held' };
  const [found] = on;
  if (here === undefined) {
    // libvirt lets a guest run on its new host only once it can never run on its old one again.
    if (found === undefined) return { at: 'home' };
    return on.length === 1 && hasLeft(found.seen) ? { at: 'other', ...found } : { at: 'held' };
  }
  if (found !== undefined) {
    if (!isOn(here) && on.length === 1) return { at: 'other', ...found };
    if (here.moving) return { at: 'held' };
    return { at: 'held', error: runsTwice(row, [...(isOn(here) ? [row.host_name] : []), ...on.map(nameOf)]) };
  }
  if (isOn(here)) return { at: 'home' };
  const [off] = there;
  // Of two that are off, the one that was left behind by a migration, or is gone, is not the one that counts.
  if (off !== undefined && (here.state === 'absent' || hasLeft(here))) return { at: 'other', ...off };
  if (off === undefined && silent.length > 0 && (here.state === 'absent' || hasLeft(here))) {
    return { at: 'held', error: mayBeOn(row, silent) };
  }
  const isAskedFor = row.power_generation > row.converged_generation || row.desired === 'deleted';
  return off === undefined && hasLeft(here) && !isAskedFor ? { at: 'held', error: hasGone(row) } : { at: 'home' };
}

const nameOf = ({ host }: { host: Place }): string => host.name;

const runsTwice = ({ name }: Row, hosts: string[]) =>
  new VirgaError('Conflict', {
    detail: `The guest of instance ${name} runs on the hosts ${hosts.join(' and ')} at once, and may ruin its disk.`,
    action: `Find out which of them is the right one, and end the other: virsh destroy, then virsh undefine.`,
  });

const mayBeOn = ({ name, host_name }: Row, hosts: readonly Place[]) =>
  new VirgaError('HostUnavailable', {
    detail: `Instance ${name} is no longer on host ${host_name}, and may run on ${hosts.map((host) => host.name).join(', ')}, which cannot be reached.`,
    action: 'Bring that host back: the instance is followed there, or brought back where it was.',
  });

const hasGone = ({ name, host_name }: Row) =>
  new VirgaError('Conflict', {
    detail: `Somebody has moved instance ${name} from host ${host_name} to a host that is not of this cloud.`,
    action: `Move it back with virsh migrate. Or, once its guest has been ended there: virga stop ${name}, then virga start ${name}.`,
  });

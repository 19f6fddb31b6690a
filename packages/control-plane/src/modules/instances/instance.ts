// The rules of an instance, pure: what state it is in, whether it is as desired, and what a difference between the two
// means. Knows neither database nor host.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import type { InstanceId } from '@virga/contract/ids';
import type { CrashPolicy } from '@virga/contract/rest/instance-attributes';
import type { InstanceState } from '@virga/contract/rest/instances';
import type { Selectable } from 'kysely';
import type { DesiredState } from '../../store/compute-tables.ts';
import type { Database } from '../../store/schema.ts';

/** The part of an instance that its state follows from. */
export type InstanceCondition = {
  desired: DesiredState;
  observed: ObservedInstance['state'];
  /** What was last asked for has been reached. */
  hasConverged: boolean;
  hasFailed: boolean;
  isRebooting: boolean;
};

/** What people see. The database has the same as the column `state` of instances; a test holds them together. */
export function instanceState({
  desired,
  observed,
  hasConverged,
  hasFailed,
  isRebooting,
}: InstanceCondition): InstanceState {
  if (desired === 'deleted') return 'deleting';
  if (hasFailed) return 'error';
  if (desired === 'running' || desired === 'paused') {
    if (observed === 'paused') return 'paused';
    const isUnderWay = observed === 'running' || observed === 'stopping' || observed === 'stopped';
    if (isUnderWay && isRebooting && !hasConverged) return 'rebooting';
    return observed === 'running' ? 'running' : 'pending';
  }
  if (observed === 'stopped' || observed === 'hibernated') return observed;
  if (!hasConverged) return desired === 'hibernated' ? 'hibernating' : 'stopping';
  return observed === 'absent' ? 'stopped' : observed;
}

/** True when the host shows what is desired. A guest that somebody paused runs, as far as Virga is concerned. */
export function isReached(desired: DesiredState, { state }: Pick<ObservedInstance, 'state'>): boolean {
  switch (desired) {
    case 'running':
      return state === 'running' || state === 'paused';
    case 'hibernated':
      return state === 'hibernated' || state === 'stopped';
    case 'deleted':
      return state === 'absent';
    default:
      return state === desired;
  }
}

export type Verb = 'start' | 'stop' | 'reboot' | 'delete';
/**
 * What a verb does to an instance. `change`: a new generation. `join`: it is on its way there already, the request
 * follows the operation under way. `nothing`: it is there. `refuse`: it makes no sense now.
 */
export type Transition = 'change' | 'join' | 'nothing' | 'refuse';

/**
 * Asking for what already is, succeeds, as on EC2: start of a running instance, stop of a stopped one. A reboot needs a
 * running guest. A failed instance can be asked for anything. What is being deleted can only be deleted, and asking for
 * that again is a new try when the last one failed.
 */
export function transition(verb: Verb, condition: InstanceCondition): Transition {
  const { desired, observed, hasConverged, hasFailed } = condition;
  if (desired === 'deleted') {
    if (verb !== 'delete') return 'refuse';
    return hasFailed ? 'change' : 'join';
  }
  switch (verb) {
    case 'delete':
      return 'change';
    case 'reboot':
      return desired === 'running' && observed === 'running' ? 'change' : 'refuse';
    case 'start':
      if (observed === 'paused') return 'refuse';
      if (desired !== 'running' || hasFailed) return 'change';
      return hasConverged ? 'nothing' : 'join';
    case 'stop':
      if (desired !== 'stopped' || hasFailed) return 'change';
      return hasConverged ? 'nothing' : 'join';
  }
}

/** What to do about a converged instance that is no longer as desired. */
export type Deviation = 'none' | 'adopt-stop' | 'adopt-start' | 'repair';

/**
 * Deliberate and orderly changes made beside Virga are adopted, loss is repaired; a crash is what its policy says.
 * @see docs/decisions/0002-outside-changes.md
 */
export function deviation(
  desired: Exclude<DesiredState, 'deleted'>,
  { state, reason, intact }: Pick<ObservedInstance, 'state' | 'reason' | 'intact'>,
  crashPolicy: CrashPolicy = 'restart',
): Deviation {
  if (state === 'absent') return 'repair';
  if (desired === 'running') {
    if (state === 'stopped') return staysOff(reason, crashPolicy) ? 'adopt-stop' : 'repair';
    return intact ? 'none' : 'repair';
  }
  if (state === 'running' || state === 'paused') return 'adopt-start';
  return intact ? 'none' : 'repair';
}

/** Whether a guest that is off, and should not be, is left so. */
function staysOff(reason: ObservedInstance['reason'], crashPolicy: CrashPolicy): boolean {
  if (reason === 'guest-shutdown') return true;
  return crashPolicy === 'stop' && isCrash(reason);
}

export const isCrash = (reason: ObservedInstance['reason']): boolean => reason === 'crashed' || reason === 'failed';

/** The condition of a row. */
export function conditionOf(
  row: Pick<Selectable<Database['instances']>, 'desired' | 'observed_state' | 'generation' | 'converged_generation'> & {
    failure: unknown;
    reboot: unknown;
  },
): InstanceCondition {
  return {
    desired: row.desired,
    observed: row.observed_state,
    hasConverged: row.generation === row.converged_generation,
    hasFailed: row.failure !== null,
    isRebooting: row.reboot !== null,
  };
}

/** Name of the libvirt domain: unique on every host, and people see whose it is. */
export function domainNameOf({ id, name }: { id: InstanceId; name: string }): string {
  return `${name}.${id}`;
}

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

/**
 * True when the host shows what is desired. A guest that QEMU stopped because the storage is full has been started; that it
 * stands still is told apart, and repaired when there is room. Of one that was off before it could be hibernated, there is
 * no memory to save.
 */
export function isReached(
  desired: DesiredState,
  { state, reason }: Pick<ObservedInstance, 'state'> & Partial<Pick<ObservedInstance, 'reason'>>,
): boolean {
  switch (desired) {
    case 'running':
      return state === 'running' || (state === 'paused' && reason === 'storage-full');
    case 'hibernated':
      return state === 'hibernated' || state === 'stopped';
    case 'deleted':
      return state === 'absent';
    default:
      return state === desired;
  }
}

/** What to do about a converged instance that is no longer as desired. */
export type Deviation =
  | 'none'
  | 'adopt-stop'
  | 'adopt-start'
  | 'adopt-pause'
  | 'adopt-resume'
  | 'adopt-hibernate'
  | 'adopt-loss'
  | 'repair';

/**
 * Deliberate and orderly changes made beside Virga are adopted, loss is repaired; a crash is what its policy says. Memory
 * that was saved and is gone cannot be repaired: such an instance is off.
 * @param domainName the name that is desired; a domain that is off has it
 * @see docs/decisions/0002-outside-changes.md
 */
export function deviation(
  desired: Exclude<DesiredState, 'deleted'>,
  seen: Pick<ObservedInstance, 'state' | 'reason' | 'intact'> & { domainName?: string },
  crashPolicy: CrashPolicy = 'restart',
  domainName?: string,
): Deviation {
  const { state, reason, intact } = seen;
  if (state === 'absent') return 'repair';
  const isToBeOn = desired === 'running' || desired === 'paused';
  if (state === 'hibernated') {
    if (desired === 'hibernated') return lossless(intact);
    // Hosts save the memory of their guests when they go down. It is not known who did, and then it is a loss of power.
    return isToBeOn && reason === 'unknown' ? 'repair' : 'adopt-hibernate';
  }
  if (state === 'stopped') {
    if (isToBeOn) return staysOff(reason, crashPolicy) ? 'adopt-stop' : 'repair';
    if (desired === 'hibernated') return 'adopt-loss';
    return lossless(intact && (domainName === undefined || seen.domainName === domainName));
  }
  if (state === 'stopping') return lossless(intact);
  if (!isToBeOn) return 'adopt-start';
  if (state === desired) return lossless(intact);
  if (state === 'running') return 'adopt-resume';
  if (reason === 'storage-full') return 'repair';
  return reason === 'suspended' ? 'adopt-pause' : lossless(intact);
}

const lossless = (isWhole: boolean): Deviation => (isWhole ? 'none' : 'repair');

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

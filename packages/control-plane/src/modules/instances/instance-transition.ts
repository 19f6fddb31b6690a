// What each verb does to an instance in each state, pure: the state machine that docs/reference/instance-states.md is made
// from. Knows neither database nor host; what a change consists of is the operations'.
import { VirgaError } from '@virga/contract/errors';
import type { DesiredState } from '../../store/compute-tables.ts';
import type { InstanceCondition } from './instance.ts';

export const verbs = [
  'start',
  'stop',
  'destroy',
  'suspend',
  'resume',
  'hibernate',
  'reboot',
  'reset',
  'delete',
] as const;
export type Verb = (typeof verbs)[number];

/** What is desired of an instance that a verb has changed. */
export const goalOf = {
  start: 'running',
  stop: 'stopped',
  destroy: 'stopped',
  suspend: 'paused',
  resume: 'running',
  hibernate: 'hibernated',
  reboot: 'running',
  reset: 'running',
  delete: 'deleted',
} as const satisfies Record<Verb, DesiredState>;

/**
 * What a verb does to an instance. `change`: a new generation. `join`: it is on its way there already, the request
 * follows the operation under way. `nothing`: it is there. `refuse`: it makes no sense now.
 */
export type Transition = 'change' | 'join' | 'nothing' | 'refuse';

/**
 * Asking for what already is, succeeds, as on EC2: start of a running instance, stop of a stopped one. A reboot needs a
 * running guest, memory can be saved of one that is on, and who has saved memory is not stopped by the way: that would lose
 * it, so it takes a destroy. What is being deleted can only be deleted, and asking for that again is a new try when the last
 * one failed.
 */
export function transition(verb: Verb, condition: InstanceCondition): Transition {
  const { desired, observed, hasFailed } = condition;
  if (desired === 'deleted') {
    if (verb !== 'delete') return 'refuse';
    return hasFailed ? 'change' : 'join';
  }
  const isOn = observed === 'running' || observed === 'paused';
  const isOff = observed === 'stopped' || observed === 'absent';
  switch (verb) {
    case 'delete':
      return 'change';
    case 'reboot':
    case 'reset':
      return desired === 'running' && observed === 'running' ? 'change' : 'refuse';
    case 'start':
      if (desired === 'running') return goesOn(condition);
      return desired === 'paused' && !hasFailed ? 'refuse' : 'change';
    case 'resume':
      if (desired === 'running') return goesOn(condition);
      return desired === 'paused' ? 'change' : 'refuse';
    case 'suspend':
      if (desired === 'paused') return follow(condition, observed === 'paused');
      return desired === 'running' && isOn ? 'change' : 'refuse';
    case 'hibernate':
      if (desired === 'hibernated')
        return observed === 'stopped' ? 'refuse' : follow(condition, observed === 'hibernated');
      return desired !== 'stopped' && isOn ? 'change' : 'refuse';
    case 'stop':
      if (desired === 'stopped') return follow(condition, isOff);
      if (observed === 'hibernated') return 'refuse';
      return desired === 'hibernated' && observed !== 'stopped' && !hasFailed ? 'refuse' : 'change';
    case 'destroy':
      return desired === 'stopped' ? follow(condition, isOff) : 'change';
  }
}

/** One condition for each state that people see, by what they call it. Of two that differ in what is possible, both. */
export const exampleConditions: Record<string, InstanceCondition> = {
  pending: condition('running', 'absent', false),
  running: condition('running', 'running'),
  paused: condition('paused', 'paused'),
  'paused, storage full': condition('running', 'paused'),
  rebooting: { ...condition('running', 'running', false), isRebooting: true },
  stopping: condition('stopped', 'running', false),
  stopped: condition('stopped', 'stopped'),
  hibernating: condition('hibernated', 'running', false),
  hibernated: condition('hibernated', 'hibernated'),
  waking: condition('running', 'hibernated', false),
  deleting: condition('deleted', 'running', false),
  'error, guest on': { ...condition('running', 'running'), hasFailed: true },
  'error, guest off': { ...condition('running', 'stopped'), hasFailed: true },
};

function condition(
  desired: InstanceCondition['desired'],
  observed: InstanceCondition['observed'],
  hasConverged = true,
): InstanceCondition {
  return { desired, observed, hasConverged, hasFailed: false, isRebooting: false };
}

/** What was last asked for is this very thing. What is reached, yet not what the host shows any more, is asked for anew. */
function follow({ hasConverged, hasFailed }: InstanceCondition, isShown: boolean): Transition {
  if (hasFailed) return 'change';
  if (!hasConverged) return 'join';
  return isShown ? 'nothing' : 'change';
}

/** It is to run. A guest that stands still nevertheless, as when the storage is full, is asked to go on. */
const goesOn = (condition: InstanceCondition): Transition => follow(condition, condition.observed !== 'paused');

const wakeOrDestroy =
  'Wake it with virga start and stop it then; or cut it off with virga destroy, which gives its saved memory up.';

/** Why a verb is refused, and what to do instead. Only for what {@link transition} refuses. */
export function refusal(verb: Verb, name: string, condition: InstanceCondition, state: string): VirgaError {
  const { desired, observed } = condition;
  const conflict = (detail: string, action: string) => new VirgaError('Conflict', { detail, action });
  if (desired === 'deleted') return conflict(`Instance ${name} is being deleted.`, 'Launch another one.');
  if (verb === 'start') return conflict(`Instance ${name} is paused.`, `Let it go on: virga resume ${name}.`);
  if (verb === 'stop') {
    const what = observed === 'hibernated' ? 'is hibernated, and not simply off' : 'is being hibernated';
    return conflict(`Instance ${name} ${what}.`, wakeOrDestroy);
  }
  if (state === 'paused') {
    return conflict(`Instance ${name} is paused, so it hears of nothing.`, `Let it go on first: virga resume ${name}.`);
  }
  if (state === 'stopped' || state === 'hibernated') {
    return conflict(`Instance ${name} is ${state}.`, `Start it first: virga start ${name}.`);
  }
  return conflict(`Instance ${name} is ${state}.`, `Wait until it runs: virga show ${name}.`);
}

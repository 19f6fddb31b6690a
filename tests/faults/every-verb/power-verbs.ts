// Verbs of an instance's power.
import { hibernate, off, params, start, state, stop, type VerbUnderFault } from './verb-under-fault.ts';

export const powerVerbs: readonly VerbUnderFault[] = [
  { name: 'stop', ask: stop, holds: state('stopped') },
  { name: 'destroy', ask: off, holds: state('stopped') },
  { name: 'start', before: [off], ask: start, holds: state('running') },
  { name: 'reboot', ask: (client, it) => client.rebootInstance({ ...params(it), body: {} }), holds: state('running') },
  {
    name: 'power cycle',
    ask: (client, it) => client.rebootInstance({ ...params(it), body: { mode: 'cycle' } }),
    holds: state('running'),
  },
  { name: 'reset', ask: (client, it) => client.resetInstance(params(it)), holds: state('running') },
  { name: 'suspend', ask: (client, it) => client.suspendInstance(params(it)), holds: state('paused') },
  {
    name: 'resume',
    before: [(client, it) => client.suspendInstance(params(it))],
    ask: (client, it) => client.resumeInstance(params(it)),
    holds: state('running'),
  },
  { name: 'hibernate', ask: hibernate, holds: state('hibernated'), withoutMemory: state('stopped') },
  { name: 'wake', before: [hibernate], ask: start, holds: state('running') },
  { name: 'destroy of a hibernated one', before: [hibernate], ask: off, holds: state('stopped') },
];

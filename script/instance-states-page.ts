// The page of the states of an instance, from the functions that decide about them.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import {
  type Deviation,
  deviation,
  type InstanceCondition,
  instanceState,
} from '@virga/control-plane/modules/instances/instance';
import {
  exampleConditions,
  goalOf,
  type Transition,
  transition,
  verbs,
} from '@virga/control-plane/modules/instances/instance-transition';

type Verb = (typeof verbs)[number];

const signs: Record<Transition, string> = { change: 'changes', join: 'joins', nothing: 'is so', refuse: '–' };

const adoptions: Record<Deviation, string> = {
  none: '–',
  repair: 'repairs',
  'adopt-stop': 'adopts: stopped',
  'adopt-start': 'adopts: running, or paused',
  'adopt-pause': 'adopts: paused',
  'adopt-resume': 'adopts: running',
  'adopt-hibernate': 'adopts: hibernated',
  'adopt-loss': 'tells the loss: stopped',
};

/** What may be seen on a host, and what somebody may have done. */
const sights: [string, Pick<ObservedInstance, 'state' | 'reason'>][] = [
  ['runs', { state: 'running', reason: 'booted' }],
  ['stands still: `virsh suspend`', { state: 'paused', reason: 'suspended' }],
  ['stands still: the storage is full', { state: 'paused', reason: 'storage-full' }],
  ['off: the guest shut itself down', { state: 'stopped', reason: 'guest-shutdown' }],
  ['off: `virsh destroy`, or the host restarted', { state: 'stopped', reason: 'destroyed' }],
  ['off: crashed', { state: 'stopped', reason: 'crashed' }],
  ['off, memory saved: `virsh managedsave`', { state: 'hibernated', reason: 'suspended' }],
  ['off, memory saved by the host when it went down', { state: 'hibernated', reason: 'unknown' }],
  ['no domain: `virsh undefine`', { state: 'absent', reason: 'undefined' }],
];

export function instanceStatesPage(generated: string): string {
  return [
    generated,
    '# States of an instance',
    '',
    'What is desired of an instance and what its host shows are two things; the state that people see follows from both. A verb',
    'changes what is desired and answers at once; the host is brought there, again and again if need be. This page is made from',
    'the functions that decide: `packages/control-plane/src/modules/instances/instance.ts` and `instance-transition.ts`.',
    '',
    '```mermaid',
    'stateDiagram-v2',
    ...diagram().map((line) => `  ${line}`),
    '```',
    '',
    'From `error` it goes on by itself when the cause is gone; any verb that is not refused is a new try.',
    '',
    '## Every verb in every state',
    '',
    '**changes**: it is asked for, and overtakes what was under way. **joins**: it is on its way there; the request follows that',
    'operation. **is so**: it succeeds at once. **–**: refused with `Conflict`, which says what to do instead; nothing changes.',
    '',
    row(['state', ...verbs.map((verb) => `\`${verb}\``)]),
    row(['---', ...verbs.map(() => '---')]),
    ...Object.entries(exampleConditions).map(([state, condition]) =>
      row([state, ...verbs.map((verb) => signs[transition(verb, condition)])]),
    ),
    '',
    '`start` wakes what hibernates. `destroy` of what hibernates gives its saved memory up, and `stop` never does. `reboot` has',
    'four modes: ACPI, guest agent, reset, and a power cycle, which is a stop and a start.',
    '',
    '## What others do beside Virga',
    '',
    'What is seen on the host (rows) of an instance that had been brought to what is desired (columns).',
    'See [decision 2](../decisions/0002-outside-changes.md).',
    '',
    row(['seen on the host', ...desires]),
    row(['---', ...desires.map(() => '---')]),
    ...sights.map(([sight, seen]) =>
      row([sight, ...desires.map((desired) => adoptions[deviation(desired, { ...seen, intact: true })])]),
    ),
    '',
    'A crash is left so when the crash policy of the instance says `stop`. A domain that was renamed is renamed back once it is',
    'off.',
    '',
  ].join('\n');
}

const desires = ['running', 'paused', 'stopped', 'hibernated'] as const;

/** The lines of the diagram: from each state that lasts, what its verbs lead to. */
function diagram(): string[] {
  const lasting = ['running', 'paused', 'stopped', 'hibernated'] as const;
  const edges = new Map<string, Verb[]>();
  const add = (from: string, to: string, verb?: Verb) => {
    const key = `${from} --> ${to}`;
    edges.set(key, [...(edges.get(key) ?? []), ...(verb ? [verb] : [])]);
  };
  add('[*]', 'pending');
  add('pending', 'running');
  for (const state of lasting) {
    const condition = exampleConditions[state]!;
    for (const verb of verbs.filter((it) => transition(it, condition) === 'change')) {
      const isRebooting = verb === 'reboot' || verb === 'reset';
      const asked: InstanceCondition = { ...condition, desired: goalOf[verb], hasConverged: false, isRebooting };
      const way = instanceState(asked);
      const end = verb === 'delete' ? '[*]' : goalOf[verb];
      add(state, way === state ? end : way, verb);
      if (way !== state && way !== end) add(way, end);
    }
  }
  return [...edges].map(([edge, by]) => (by.length > 0 ? `${edge} : ${by.join(', ')}` : edge));
}

const row = (cells: string[]) => `| ${cells.join(' | ')} |`;

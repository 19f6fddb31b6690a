// Every verb of an instance, as the fault tests ask for it: from which state, by which request, and what must then be so.
import type { Client } from '@virga/contract/client';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';

type Changed = Promise<{ operationId: OperationId }>;

export type VerbUnderFault = {
  name: string;
  /** Verbs that bring a running instance to where this one makes sense. */
  before?: ((client: Client, id: InstanceId) => Changed)[];
  ask(client: Client, id: InstanceId): Changed;
  /** What is true once it has succeeded, by the API and by libvirt. */
  holds(instance: Instance | undefined): boolean | Promise<boolean>;
};

const state =
  (expected: Instance['state']) =>
  (instance: Instance | undefined): boolean =>
    instance?.state === expected;

const stop = (client: Client, id: InstanceId) => client.stopInstance({ params: { id }, body: { timeoutSeconds: 30 } });
const start = (client: Client, id: InstanceId) => client.startInstance({ params: { id } });

export const verbs: readonly VerbUnderFault[] = [
  { name: 'stop', ask: stop, holds: state('stopped') },
  {
    name: 'destroy',
    ask: (client, id) => client.destroyInstance({ params: { id } }),
    holds: state('stopped'),
  },
  { name: 'start', before: [stop], ask: start, holds: state('running') },
  {
    name: 'reboot',
    ask: (client, id) => client.rebootInstance({ params: { id }, body: {} }),
    holds: state('running'),
  },
  {
    name: 'delete',
    ask: (client, id) => client.deleteInstance({ query: {}, params: { id } }),
    holds: (instance) => instance === undefined,
  },
];

// What a verb is to the fault tests: from which state it is asked for, by which request, and what must then be so. And the
// requests that bring an instance to such a state.
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { Client } from '@virga/contract/client';
import type { OperationId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import { type LibvirtCloud, virsh } from '../libvirt-cloud.ts';

export type Changed = { operationId: OperationId; instance?: Instance };
export type Ask = (client: Client, instance: Instance) => Promise<Changed>;
/** Answers nothing when there was nothing to do. */
export type Step = (client: Client, instance: Instance) => Promise<Changed | undefined>;

export type VerbUnderFault = {
  name: string;
  /** Whether the host can do it at all; default it can. */
  needs?: (host: HostFacts) => boolean;
  /** Makes the instance that the verb is asked of, and that nothing else is asked of; default a launch. */
  make?: (client: Client) => Promise<Changed>;
  /** Brings a running instance to where the verb makes sense. */
  before?: readonly Step[];
  /** Waits until it makes sense, for what takes steps of its own. */
  ready?: () => Promise<unknown>;
  /** What it makes is what it is about, and nothing has to be there before. */
  creates?: true;
  ask: Ask;
  /** The only steps at which there are faults; default every step that it has. */
  steps?: readonly string[];
  /** Name of the domain while it is worked on; default what the instance says. */
  domainName?: (instance: Instance) => string;
  /** What may be true instead when QEMU was killed, and the guest's memory went with it. */
  withoutMemory?: (instance: Instance | undefined) => boolean | Promise<boolean>;
  /** What is true once it has succeeded, by the API and by libvirt. */
  holds(instance: Instance | undefined, setting: LibvirtCloud): boolean | Promise<boolean>;
  /** Domains that are there afterwards and are no instance's. */
  leavesDomains?: number;
  /** Takes away what the verb has left on purpose. */
  after?: () => Promise<void>;
};

export const state =
  (expected: Instance['state']) =>
  (instance: Instance | undefined): boolean =>
    instance?.state === expected;

export const params = ({ id }: Instance) => ({ params: { id } });

export const start: Ask = (client, it) => client.startInstance(params(it));
export const stop: Ask = (client, it) => client.stopInstance({ ...params(it), body: { timeoutSeconds: 30 } });
/** At once: a guest that has just been started does not hear that it is to stop. */
export const off: Ask = (client, it) => client.destroyInstance(params(it));
export const hibernate: Ask = (client, it) => client.hibernateInstance(params(it));

/** Names that were not there before: what is asked for again must not be there already by accident. */
let names = 0;
export const freshName = (prefix: string): string => `${prefix}-${++names}`;

/** What libvirt says of a domain that is off or of one that runs, by a command of virsh. */
export const says = async (command: readonly [string, ...string[]], ...expected: string[]): Promise<boolean> => {
  const answer = await virsh(...command);
  return expected.every((part) => answer.includes(part));
};

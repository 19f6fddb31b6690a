// What start, stop, reboot, destroy and delete have in common: several names, all resolved before the first change.
import type { Client } from '@virga/contract/client';
import { VirgaError } from '@virga/contract/errors';
import type { OperationId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import type { CommandContext } from '../context.ts';
import { eachBounded } from '../each-bounded.ts';
import { findInstance } from '../lookup.ts';
import { makeChanges } from '../operations/make-changes.ts';
import { reportChanges } from '../operations/report-changes.ts';
import type { ProgressTask } from '../output/progress.ts';
import { sshPort, waitForSsh } from '../ssh/wait-for-ssh.ts';
import { findMatching, type InstanceFilter, isFilter, requireOneChoice } from './instance-filter.ts';
import { addressOf } from './instance-view.ts';

/** How long `--wait=ssh` waits after the instance runs: enough for a guest that is emulated. */
const sshTimeoutMs = 300_000;

export type InstanceVerb = {
  requested: string;
  /** Said when it was waited for; default the state that the instance then has. */
  done?: string;
  wait: boolean | 'running' | 'ssh' | undefined;
  call: (client: Client, instance: Instance) => Promise<{ instance: Instance; operationId: OperationId }>;
};

export async function changeInstances(
  context: CommandContext,
  instances: readonly Instance[],
  verb: InstanceVerb,
): Promise<number> {
  const client = await context.client();
  const done = verb.done;
  const words = {
    noun: 'instance',
    requested: verb.requested,
    done: (instance: Instance) => done ?? describe(instance),
  };
  const changes = instances.map((instance) => ({
    name: instance.name,
    request: async () => {
      const answer = await verb.call(client, instance);
      return { operationId: answer.operationId, resource: answer.instance };
    },
    done: words.done,
    ...(done === undefined ? { afterwards: settled(context, client, verb.wait === 'ssh') } : {}),
  }));
  const waited = Boolean(verb.wait);
  const outcomes = await makeChanges(context, changes, waited);
  return reportChanges(context, outcomes, words, { waited, many: true });
}

/**
 * Resolves names and ids, a name that is given twice counting once; or finds those that a filter matches.
 * @throws NotFound one is missing, or nothing matches; nothing has changed
 * @throws InvalidArgument both were given, or neither
 */
export async function findInstances(
  context: CommandContext,
  names: readonly string[],
  filter?: InstanceFilter,
): Promise<Instance[]> {
  requireOneChoice(names, filter);
  const client = await context.client();
  if (filter && isFilter(filter)) return findMatching(client, filter);
  const found = await eachBounded([...new Set(names)], 8, (name) => findInstance(client, name));
  return [...new Map(found.map((instance) => [instance.id, instance])).values()];
}

/** Reads an instance after its operation, and waits for its SSH server when that was asked for. */
export function settled(context: CommandContext, client: Client, untilSsh: boolean) {
  return async ({ id }: Instance, task: ProgressTask): Promise<Instance> => {
    const instance = await client.getInstance({ params: { id } });
    const address = addressOf(instance);
    if (!untilSsh) return instance;
    if (address === undefined) {
      throw new VirgaError('Conflict', {
        detail: `${instance.name} has no address to wait for.`,
        action: 'Wait with --wait only.',
      });
    }
    task.update(`waiting for SSH at ${address}`, 100);
    const endpoint = { instanceName: instance.name, address, port: sshPort(context.io.env) };
    await waitForSsh(endpoint, sshTimeoutMs, context.interrupt());
    return instance;
  };
}

export function describe(instance: Instance): string {
  const address = addressOf(instance);
  return instance.state === 'running' && address ? `running at ${address}` : instance.state;
}

// Networks on the host: made, repaired, removed, listed. Owns when a network must be stopped to change, which it avoids;
// guests that lost their bridge with it are put back on it. A network of somebody else is never touched.
import type { DesiredNetwork } from '@virga/contract/agent/desired';
import type { ObservedNetwork } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { NetworkRef } from '@virga/libvirt/protocol/objects';
import { UndoStack } from '../../undo-stack.ts';
import type { AgentContext } from '../agent-context.ts';
import { isInterruption, isLibvirtError, tolerate } from '../hypervisor-errors.ts';
import { attachGuests } from './guest-links.ts';
import { replaceRunningLeases } from './leases.ts';
import type { FoundNetwork } from './network-names.ts';
import { leaseElement, networkXml, prefixOf, withUniqueNames } from './network-xml.ts';

export function applyNetwork(context: AgentContext, desired: DesiredNetwork): Promise<ObservedNetwork> {
  return context.locks.run(desired.id, () =>
    context.hypervisor.act(`apply the network ${desired.name}`, async (connection) => {
      const found = await findOwn(context, connection, desired);
      if (found === undefined) await make(context, connection, desired);
      else await repair(context, connection, desired, found);
      const now = await context.networkNames.find(connection, desired.id);
      if (now === undefined) throw goneMeanwhile(desired);
      return observed(now);
    }),
  );
}

export function deleteNetwork(
  context: AgentContext,
  { id, cloudId, uuid }: Pick<DesiredNetwork, 'id' | 'cloudId' | 'uuid'>,
): Promise<void> {
  return context.locks.run(id, () =>
    context.hypervisor.act(`delete the network ${id}`, async (connection) => {
      const ref = await lookup(connection.networks.lookupByUuid(uuid));
      const found = ref && (await context.networkNames.describe(connection, ref));
      if (found?.defined.record.cloudId !== cloudId) return;
      await context.hook('stop-network', id);
      await tolerate(connection.networks.destroy(found.ref), 'OPERATION_INVALID', 'NO_NETWORK');
      await context.hook('undefine-network', id);
      await tolerate(connection.networks.undefine(found.ref), 'NO_NETWORK');
    }),
  );
}

export function listNetworks(
  context: AgentContext,
  connection: Connection,
  cloudId: string,
): Promise<ObservedNetwork[]> {
  return context.networkNames
    .list(connection)
    .then((all) => all.filter(({ defined }) => defined.record.cloudId === cloudId).map(observed));
}

/** @throws Conflict name or UUID belong to somebody else, or a newer generation was applied */
async function findOwn(
  context: AgentContext,
  connection: Connection,
  desired: DesiredNetwork,
): Promise<FoundNetwork | undefined> {
  const [byUuid, byName] = await Promise.all([
    lookup(connection.networks.lookupByUuid(desired.uuid)),
    lookup(connection.networks.lookupByName(desired.name)),
  ]);
  if (byName !== undefined && byName.uuid !== desired.uuid) throw taken(desired);
  if (byUuid === undefined) return undefined;
  const found = await context.networkNames.describe(connection, byUuid);
  if (found?.defined.record.cloudId !== desired.cloudId) throw taken(desired);
  const { generation } = found.defined.record;
  if (generation > desired.generation) throw overtaken(desired, generation);
  return found;
}

async function make(context: AgentContext, { networks }: Connection, desired: DesiredNetwork): Promise<void> {
  const undo = new UndoStack();
  try {
    await context.hook('define-network', desired.id);
    let ref: NetworkRef | undefined;
    undo.add('network', async () => ref && tolerate(networks.undefine(ref), 'NO_NETWORK'));
    ref = await networks.defineXml(networkXml(desired));
    await context.hook('start-network', desired.id);
    await networks.create(ref);
    await networks.setAutostart(ref, true);
  } catch (error) {
    if (!isInterruption(error)) await undo.unwind(context.log);
    throw error;
  }
}

async function repair(
  context: AgentContext,
  connection: Connection,
  desired: DesiredNetwork,
  found: FoundNetwork,
): Promise<void> {
  const { networks } = connection;
  const { ref } = found;
  if (!(await networks.isPersistent(ref)) || describe(found.defined) !== describe(asDefined(desired))) {
    await context.hook('define-network', desired.id);
    await networks.defineXml(networkXml(desired));
  }
  await networks.setAutostart(ref, true);
  if (found.running !== undefined && link(found.running) === link(asDefined(desired))) {
    await context.hook('leases', desired.id);
    await replaceRunningLeases(connection, found, withUniqueNames(desired.leases));
    return;
  }
  if (found.running !== undefined) {
    await context.hook('stop-network', desired.id);
    await networks.destroy(ref);
  }
  await context.hook('start-network', desired.id);
  await networks.create(ref);
  await attachGuests(connection, desired);
}

type Parts = Pick<FoundNetwork['defined'], 'record' | 'bridge' | 'gateway' | 'prefix' | 'leases' | 'keepsake'>;

/** What libvirt would tell of the network if it were as desired. */
function asDefined(desired: DesiredNetwork): Parts {
  const { id, cloudId, generation, bridge, gateway, cidr, keepsake = {} } = desired;
  const leases = withUniqueNames(desired.leases);
  return { record: { id, cloudId, generation }, bridge, gateway, prefix: prefixOf(cidr), leases, keepsake };
}

/** What cannot change while the network runs. */
const link = ({ bridge, gateway, prefix }: Parts): string => JSON.stringify([bridge, gateway, prefix]);

const describe = (parts: Parts): string =>
  JSON.stringify([link(parts), parts.record.generation, parts.keepsake, parts.leases.map(leaseElement).sort()]);

function observed({ defined, running }: FoundNetwork): ObservedNetwork {
  const { id, cloudId, generation } = defined.record;
  const leases = (running ?? defined).leases.map(({ mac, address }) => ({ mac, address }));
  return { id, cloudId, generation, active: running !== undefined, leases };
}

async function lookup(answer: Promise<NetworkRef>): Promise<NetworkRef | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isLibvirtError(error, 'NO_NETWORK')) return undefined;
    throw error;
  }
}

const taken = ({ name, uuid }: DesiredNetwork) =>
  new VirgaError('Conflict', {
    detail: `A libvirt network of somebody else has the name ${name} or the UUID ${uuid}.`,
    action: 'Look at it: virsh net-list --all --uuid --name. Virga leaves it alone.',
  });

const overtaken = ({ name, generation }: DesiredNetwork, present: number) =>
  new VirgaError('Conflict', {
    detail: `The network ${name} is at generation ${present} already; ${generation} is older.`,
    action: 'Nothing: the newer request holds.',
  });

const goneMeanwhile = ({ name }: DesiredNetwork) =>
  new VirgaError('HostUnavailable', {
    detail: `The network ${name} was removed while it was being made.`,
    action: 'Nothing: it is tried again.',
  });

// What there is of an instance before it is changed, and whether it may be changed at all. Reads only, so whatever it
// refuses has left no trace.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { NetworkId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { AgentContext } from '../agent-context.ts';
import { networkMissing } from '../networks/leases.ts';
import type { FoundNetwork } from '../networks/network-names.ts';
import { findByName, lookAt, type OwnDomain, type SeenDomain } from './domain-lookup.ts';
import type { DomainRecord } from './domain-metadata.ts';
import { type FolderOwner, readOwner } from './instance-folder.ts';

export type Survey = {
  domain: OwnDomain | undefined;
  /** A domain that is to be adopted, as long as it carries nothing of ours. */
  foreign?: SeenDomain | undefined;
  owner: FolderOwner | undefined;
  /** Networks of the host that the instance has a card on. */
  networks: ReadonlyMap<NetworkId, FoundNetwork>;
};

/** @throws Conflict somebody else's, or overtaken by a newer generation */
export async function surveyInstance(context: AgentContext, desired: DesiredInstance): Promise<Survey> {
  const [owner, [domain, holder, networks]] = await Promise.all([
    readOwner(context.storage, desired.id),
    context.hypervisor.ask(`look at ${desired.domainName}`, (connection) =>
      Promise.all([
        lookAt(connection, desired.uuid),
        findByName(connection, desired.domainName),
        findNetworks(context, connection, desired),
      ]),
    ),
  ]);
  if (holder !== undefined && holder.uuid !== desired.uuid) throw nameTaken(desired);
  if (owner !== undefined && owner.cloudId !== desired.cloudId) throw notOurs(desired);
  const foreign = desired.origin === 'adopted' && domain?.record === undefined ? domain : undefined;
  if (foreign !== undefined) return { domain: undefined, foreign, owner, networks };
  if (domain !== undefined && !isOf(desired, domain.record)) throw notOurs(desired);
  const own = domain as OwnDomain | undefined;
  if (own !== undefined && own.record.generation > desired.generation) throw overtaken(desired, own);
  return { domain: own, owner, networks };
}

const isOf = ({ id, cloudId }: DesiredInstance, record: DomainRecord | undefined): boolean =>
  record?.cloudId === cloudId && record.instanceId === id;

async function findNetworks(
  context: AgentContext,
  connection: Connection,
  { nics }: DesiredInstance,
): Promise<Survey['networks']> {
  const ids = [...new Set(nics.map(({ networkId }) => networkId))];
  const found = await Promise.all(ids.map((id) => context.networkNames.find(connection, id)));
  return new Map(ids.flatMap((id, index) => (found[index] === undefined ? [] : [[id, found[index]]])));
}

/** The network of each card. @throws NotFound one is not on this host */
export function requireNetworks({ nics }: DesiredInstance, { networks }: Survey): FoundNetwork[] {
  return nics.map((nic) => {
    const network = networks.get(nic.networkId);
    if (network === undefined) throw networkMissing(nic);
    return network;
  });
}

const nameTaken = ({ domainName }: DesiredInstance) =>
  new VirgaError('Conflict', {
    detail: `Another domain on the host is called ${domainName}.`,
    action: `Rename it: virsh domrename ${domainName} NEW-NAME`,
  });

const notOurs = ({ domainName, uuid }: DesiredInstance) =>
  new VirgaError('Conflict', {
    detail: `The domain or folder of ${domainName} (${uuid}) belongs to somebody else.`,
    action: 'Look at it on the host: virsh dumpxml UUID. Virga leaves it alone.',
  });

const overtaken = ({ domainName, generation }: DesiredInstance, { record }: OwnDomain) =>
  new VirgaError('Conflict', {
    detail: `${domainName} is at generation ${record.generation} already; ${generation} is older.`,
    action: 'Nothing: the newer request holds.',
  });

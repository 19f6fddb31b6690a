// What there is of an instance before it is changed, and whether it may be changed at all. Reads only, so whatever it
// refuses has left no trace.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { NetworkId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { networkMissing } from '../networks/leases.ts';
import type { FoundNetwork } from '../networks/network-names.ts';
import { findByName, lookAt, type OwnDomain } from './domain-lookup.ts';
import { type FolderOwner, readOwner } from './instance-folder.ts';

export type Survey = {
  domain: OwnDomain | undefined;
  owner: FolderOwner | undefined;
  networks: ReadonlyMap<NetworkId, FoundNetwork>;
};

/** @throws Conflict somebody else's, or overtaken by a newer generation | NotFound a network is not there */
export async function surveyInstance(context: AgentContext, desired: DesiredInstance): Promise<Survey> {
  const [owner, [domain, holder, networks]] = await Promise.all([
    readOwner(context.storage, desired.id),
    context.hypervisor.ask(`look at ${desired.domainName}`, (connection) =>
      Promise.all([
        lookAt(connection, desired.uuid),
        findByName(connection, desired.domainName),
        findNetworks(context, desired),
      ]),
    ),
  ]);
  if (holder !== undefined && holder.uuid !== desired.uuid) throw nameTaken(desired);
  if (domain !== undefined && domain.record?.cloudId !== desired.cloudId) throw notOurs(desired);
  if (owner !== undefined && owner.cloudId !== desired.cloudId) throw notOurs(desired);
  const own = domain as OwnDomain | undefined;
  if (own !== undefined && own.record.generation > desired.generation) throw overtaken(desired, own);
  return { domain: own, owner, networks };
}

async function findNetworks(context: AgentContext, { nics }: DesiredInstance): Promise<Survey['networks']> {
  const found = await context.hypervisor.ask('look at the networks', (connection) =>
    Promise.all(nics.map((nic) => context.networkNames.find(connection, nic.networkId))),
  );
  return new Map(
    nics.map((nic, index) => {
      const network = found[index];
      if (network === undefined) throw networkMissing(nic);
      return [nic.networkId, network];
    }),
  );
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

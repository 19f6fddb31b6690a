// Gives an instance back to whoever looks after domains with virsh: from then on nothing on the host is ours. Its domain
// goes on; disks and console log stay where they are. A folder that holds them is only marked, since its clone still rests
// on an image; the folder of an adopted instance held nothing of the domain's and goes.
import type { InstanceIdentity } from '@virga/contract/agent/desired';
import type { AgentContext } from '../agent-context.ts';
import { tolerate } from '../hypervisor-errors.ts';
import { storageError } from '../storage.ts';
import { findById, lookAt } from './domain-lookup.ts';
import { domainNamespace, domainPrefix } from './domain-metadata.ts';
import { disownFolder, readOwner, removeFolder } from './instance-folder.ts';
import { isOff } from './power.ts';

type Released = Pick<InstanceIdentity, 'id' | 'cloudId'>;

export function releaseInstance(context: AgentContext, instance: Released): Promise<void> {
  return context.locks.run(instance.id, async () => {
    // The files first: while the domain still says whose it is, a call that was cut short can be told from a loss.
    await releaseFiles(context, instance);
    await releaseDomain(context, instance);
    context.shutdowns.forget(instance.id);
  });
}

async function releaseFiles({ storage, hook }: AgentContext, { id, cloudId }: Released): Promise<void> {
  try {
    const owner = await readOwner(storage, id);
    if (owner?.cloudId !== cloudId) return;
    await hook('release-files', id);
    if (owner.adopted) await removeFolder(storage, { id, cloudId });
    else await disownFolder(storage, owner);
  } catch (error) {
    throw storageError(error, storage, 'release an instance');
  }
}

async function releaseDomain(context: AgentContext, { id, cloudId }: Released): Promise<void> {
  const domain = await context.hypervisor.ask(`look for the domain of ${id}`, async (connection) => {
    const ref = await findById(connection, id);
    return ref && lookAt(connection, ref.uuid);
  });
  if (domain === undefined || domain.record?.cloudId !== cloudId) return;
  const { ref, isPersistent } = domain;
  const isOn = !isOff({ ...domain, record: domain.record });
  await context.hook('release', id);
  await context.hypervisor.act(`release ${ref.name}`, ({ domains }) =>
    tolerate(
      domains.setMetadata(
        ref,
        { uri: domainNamespace, key: domainPrefix, xml: null },
        { live: isOn, config: isPersistent },
      ),
      'NO_DOMAIN',
      'NO_DOMAIN_METADATA',
    ),
  );
}

// What an instance is no longer to have, without a word to its guest: entries of its definition, and leases of its cards.
import type { DesiredInstance, DesiredNic } from '@virga/contract/agent/desired';
import type { AgentContext } from '../agent-context.ts';
import { tolerate } from '../hypervisor-errors.ts';
import { removeLeases } from '../networks/leases.ts';
import { element } from '../xml.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { readDevices, type SeenNic, type SeenVolume, surplusOf } from './seen-devices.ts';

/** Takes the leases of cards away that the domain had and is no longer to have. */
export async function removeGoneLeases(
  context: AgentContext,
  { id, nics }: Pick<DesiredInstance, 'id' | 'nics'>,
  { record }: Pick<OwnDomain, 'record'>,
): Promise<void> {
  const gone = record.desired.nics.filter((nic: DesiredNic) => !nics.some((one) => one.id === nic.id));
  if (gone.length === 0) return;
  await context.hook('delete-leases', id);
  for (const nic of gone) {
    await context.locks.run(nic.networkId, () =>
      context.hypervisor.act(`take the lease of ${nic.address} away`, (connection) =>
        removeLeases(connection, context.networkNames, [nic]),
      ),
    );
  }
}

/**
 * Takes out of the definition of a domain, which is otherwise left as it is, what it is no longer to have: somebody else
 * may get it.
 */
export async function forgetDevices(context: AgentContext, desired: DesiredInstance, domain: OwnDomain): Promise<void> {
  const { ref } = domain;
  const seen = await context.hypervisor.ask(`look at ${ref.name}`, async ({ domains }) =>
    readDevices(await domains.xml(ref, { inactive: true })),
  );
  for (const device of surplusOf(desired, seen)) {
    await context.hook('forget-device', desired.id);
    await context.hypervisor.act(`take ${device.id} out of the definition of ${ref.name}`, ({ domains }) =>
      tolerate(domains.detachDevice(ref, bareElement(device), { config: true }), 'DEVICE_MISSING'),
    );
  }
  await removeGoneLeases(context, desired, domain);
}

/** As much of a device as libvirt needs to find it. */
function bareElement(device: SeenVolume | SeenNic): string {
  if ('mac' in device) {
    return element(
      'interface',
      { type: 'network' },
      element('mac', { address: device.mac }),
      element('source', { network: '' }),
    );
  }
  return element('disk', { type: 'file', device: 'disk' }, element('target', { dev: device.target }));
}

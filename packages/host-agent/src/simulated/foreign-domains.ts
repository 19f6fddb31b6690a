// Domains of somebody else on a simulated host: told, taken over, given back. As on a real one, what is taken over keeps
// running, and what is given back is as it was.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ForeignDomain, ForeignDomainDetails } from '@virga/contract/agent/foreign';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import { recordOf } from '../libvirt/instances/domain-metadata.ts';
import type { CallSteps } from './call-steps.ts';
import { nameOf, type StoredDomain, type StoredForeignDomain } from './host-records.ts';
import type { SimulatedHost } from './simulated-host.ts';

export function listForeignDomains(host: SimulatedHost): ForeignDomain[] {
  return host.store.foreignDomains.all().map(({ name, uuid, state, vcpus, memoryMib, persistent }) => {
    return { name, uuid, state, vcpus, memoryMib, persistent };
  });
}

/** @throws NotFound | Conflict it is an instance of a cloud */
export function inspectForeignDomain(host: SimulatedHost, nameOrUuid: string): ForeignDomainDetails {
  const isIt = ({ name, uuid }: { name: string; uuid: string }) => name === nameOrUuid || uuid === nameOrUuid;
  const found = host.store.foreignDomains.all().find(isIt);
  if (found !== undefined) {
    const { boots: _, ...details } = found;
    return details;
  }
  const ours = host.store.domains
    .all()
    .some(({ record: { desired } }) => isIt({ name: desired.domainName, uuid: desired.uuid }));
  if (ours) {
    throw new VirgaError('Conflict', {
      detail: `The domain ${nameOrUuid} is an instance of a cloud already.`,
      action: 'Release it from there first: virga release NAME.',
      field: '/domain',
    });
  }
  throw new VirgaError('NotFound', {
    detail: `There is no domain ${nameOrUuid} on the host.`,
    action: 'Look at what is there: virga hosts domains, or virsh list --all.',
    field: '/domain',
  });
}

/** Marks a domain as this instance. @throws HypervisorRefused it is gone | Conflict it is transient */
export async function takeOver(host: SimulatedHost, desired: DesiredInstance, steps: CallSteps): Promise<void> {
  const { id, uuid, domainName } = desired;
  const domain = host.domain(id);
  if (domain !== undefined) {
    if (domain.isDefined && domain.record.generation === desired.generation) return;
    await steps.take('metadata', 60, steps.timings.defineMs, () => {
      const current = host.domain(id) ?? domain;
      host.setDomain(id, { ...current, isDefined: true, record: recordOf(desired, current.record.rebootToken) });
    });
    return;
  }
  const find = () => host.store.foreignDomains.all().find((foreign) => foreign.uuid === uuid);
  const found = find();
  if (found === undefined) {
    throw new VirgaError('HypervisorRefused', {
      detail: `The domain ${domainName} (${uuid}) is no longer on the host.`,
      action: 'Define it again with virsh define, or delete the instance.',
    });
  }
  if (!found.persistent) {
    throw new VirgaError('Conflict', {
      detail: `The domain ${domainName} is transient: it runs, but is not defined, and is gone once it stops.`,
      action: 'Define it first: virsh dumpxml NAME > NAME.xml && virsh define NAME.xml',
    });
  }
  steps.undo.add('adoption', async () => giveBack(host, id));
  await steps.take('adopt', 60, steps.timings.defineMs, () => {
    const foreign = find();
    if (foreign === undefined) return;
    host.store.foreignDomains.delete(foreign.name);
    host.setDomain(id, asInstance(desired, foreign));
  });
}

/** Gives an instance back: its domain is nobody's of ours from now on, and its files stay. Nothing there is success. */
export async function releaseInstance(
  host: SimulatedHost,
  { id, cloudId }: { id: InstanceId; cloudId: string },
  steps: CallSteps,
): Promise<void> {
  const folder = host.store.folders.get(id);
  if (folder?.owner.cloudId === cloudId && !folder.owner.released) {
    await steps.take('release-files', 30, 0, () =>
      host.store.folders.set(id, { ...folder, owner: { ...folder.owner, released: true } }),
    );
  }
  if (host.domain(id)?.record.cloudId !== cloudId) return;
  await steps.take('release', 60, steps.timings.defineMs, () => giveBack(host, id));
}

function giveBack(host: SimulatedHost, id: InstanceId): void {
  const domain = host.domain(id);
  if (domain === undefined) return;
  const { desired } = domain.record;
  const name = nameOf(domain);
  const { uuid, vcpus, maxVcpus, memoryMib, maxMemoryMib, firmware, rootDisk } = desired;
  host.store.foreignDomains.set(name, {
    name,
    uuid,
    state: domain.power === 'off' ? 'stopped' : domain.power,
    vcpus,
    maxVcpus,
    memoryMib,
    maxMemoryMib,
    firmware,
    persistent: domain.isDefined,
    diskBytes: rootDisk.sizeBytes,
    nics: desired.nics.map(({ mac, networkId, address }) => ({ mac, networkId, address })),
    boots: domain.boots,
  });
  host.removeDomain(id, domain);
}

function asInstance(desired: DesiredInstance, { state, boots }: StoredForeignDomain): StoredDomain {
  const isOff = state === 'stopped' || state === 'hibernated';
  return {
    record: recordOf(desired, desired.reboot?.token ?? null),
    isDefined: true,
    power: isOff ? 'off' : state,
    reason: isOff ? 'unknown' : state === 'paused' ? 'suspended' : 'booted',
    askedToStopUntilMs: null,
    offAtMs: null,
    boots,
  };
}

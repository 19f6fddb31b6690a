// What a simulated host refuses, before anything is done: what is somebody else's, and what does not fit.
import type { InstanceIdentity } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, VolumeId } from '@virga/contract/ids';
import { noPassphrase } from '../volume-conflicts.ts';
import { nameOf, type StoredDomain } from './host-records.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** @throws Conflict the id, the name or the UUID of the domain is taken by somebody else */
export function requireNoStranger(host: SimulatedHost, { id, cloudId, uuid, domainName }: InstanceIdentity): void {
  const { domains, folders, foreignDomains } = host.store;
  const ownerCloud = domains.get(id)?.record.cloudId ?? folders.get(id)?.owner.cloudId ?? cloudId;
  if (ownerCloud !== cloudId) throw stranger(`The instance ${id} on the host belongs to another cloud.`);
  const namesake = foreignDomains.get(domainName);
  // One with this very UUID is what is to be adopted.
  const isTaken =
    (namesake !== undefined && namesake.uuid !== uuid) ||
    domains
      .all()
      .some(
        (domain) =>
          domain.record.instanceId !== id && (nameOf(domain) === domainName || domain.record.desired.uuid === uuid),
      );
  if (isTaken) throw stranger(`The domain ${domainName} on the host belongs to somebody else.`);
}

function stranger(detail: string): VirgaError {
  return new VirgaError('Conflict', { detail, action: 'Rename or remove it there, or choose another name.' });
}

/** @throws StorageFull */
export function requireSpace(host: SimulatedHost, neededBytes: number): void {
  const freeBytes = host.freeBytes();
  if (freeBytes >= neededBytes) return;
  throw new VirgaError('StorageFull', {
    detail: `The storage of the host is full: ${freeBytes} bytes are free, ${neededBytes} are needed.`,
    action: 'Delete instances or images that are no longer needed, or add storage.',
  });
}

const whereToLook = 'Look at the state of the instance: virga show.';

/** The domain of an instance. @throws NotFound */
export function requireDomain(host: SimulatedHost, id: InstanceId, action = whereToLook): StoredDomain {
  const domain = host.domain(id);
  if (domain !== undefined) return domain;
  throw new VirgaError('NotFound', { detail: `There is no domain of ${id} on the host.`, action });
}

/**
 * The same for what can only be done to one that is on.
 * @param so what follows from its being off
 * @throws NotFound | Conflict
 */
export function requireRunning(host: SimulatedHost, id: InstanceId, so = ''): StoredDomain {
  const domain = requireDomain(host, id);
  if (domain.power !== 'off') return domain;
  throw new VirgaError('Conflict', {
    detail: `${domain.record.desired.domainName} does not run${so}.`,
    action: 'Start it first.',
  });
}

/** @throws NotFound one of them is encrypted, and has yet to be opened */
export function requireKeys(host: SimulatedHost, disks: readonly { id: VolumeId }[]): void {
  const closed = disks.find(({ id }) => host.store.volumes.get(id)?.encrypted && !host.opened.has(id));
  if (closed !== undefined) throw noPassphrase(closed.id);
}

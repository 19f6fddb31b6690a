// Brings an instance of a simulated host one step nearer to what is desired: the same order, refusals and undo as on a
// real one. Owns the decisions; the host does the acts.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { recordOf } from '../libvirt/instances/domain-metadata.ts';
import { convergePower, current, isToBeOn, rename, type Work } from './converge-power.ts';
import { takeOver } from './foreign-domains.ts';
import { nameOf, type StoredDomain, type StoredFolder } from './host-records.ts';
import { requireNoStranger, requireSpace } from './host-rules.ts';
import { addLease, findNetwork, removeLease } from './network-leases.ts';
import { takeFetched } from './simulated-backups.ts';
import { convergeDevices, removeGoneLeases, requireVolumes } from './simulated-devices.ts';
import { convergeDisc, requireDisc, requireFeatures } from './simulated-disc.ts';
import { requireDrivers } from './simulated-disks.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { copyImage, ownDisk } from './simulated-image-copies.ts';
import { requireHugePages } from './simulated-memory.ts';
import { convergeSizes, growDisk } from './simulated-sizes.ts';
import { claimClone } from './simulated-snapshots.ts';

/** What an overlay and a seed take before the guest writes. */
const freshFilesBytes = 256 * 1024;

export async function convergeInstance(work: Work): Promise<void> {
  const { host, desired } = work;
  requireNoStranger(host, desired);
  requireNotLate(host, desired);
  if (desired.origin === 'adopted') return convergeAdopted(work);
  const domain = host.domain(desired.id);
  const isOn = domain !== undefined && domain.power !== 'off';
  if (isOn && domain.isDefined && !isToBeOn(desired)) {
    // Needs neither image nor network.
    await removeGoneLeases(work);
    await define(work);
    await convergePower(work);
    return rename(work);
  }
  requireFeatures(host, desired);
  requireDrivers(host, desired, isOn || domain?.savedMemory ? domain?.record.desired : undefined);
  if (!isOn && isToBeOn(desired)) requireHugePages(host, desired);
  if (domain === undefined) requireImage(host, desired);
  requireDisc(host, desired);
  for (const nic of desired.nics) findNetwork(host, nic.networkId, desired.cloudId);
  await makeFiles(work);
  if (domain?.savedMemory === undefined) await growDisk(work);
  await rename(work);
  if (!isOn) await removeGoneLeases(work);
  await define(work);
  // A guest that is started now gets its lease after that, as on a real host.
  if (!isOn) {
    if (isToBeOn(desired)) requireVolumes(host, desired);
    await convergePower(work);
  }
  await makeLeases(work);
  if (!isOn) return;
  await convergeSizes(work);
  const kept = await convergeDevices(work);
  const locked = await convergeDisc(work);
  await convergePower(work);
  if (kept ?? locked) throw kept ?? locked;
}

/** Its definition and its disks are as they came. */
async function convergeAdopted(work: Work): Promise<void> {
  const { host, desired, steps } = work;
  for (const nic of desired.nics) findNetwork(host, nic.networkId, desired.cloudId);
  await takeOver(host, desired, steps);
  await rename(work);
  await makeLeases(work);
  if (isToBeOn(desired) || current(work).power !== 'off') await convergePower(work);
}

async function makeFiles({ host, desired, steps }: Work): Promise<void> {
  const { id, cloudId, uuid, domainName, rootDisk } = desired;
  const { folders } = host.store;
  claimClone(host, id);
  if (folders.get(id) === undefined) {
    const owner = { id, cloudId, uuid, domainName, imageId: rootDisk.imageId, ...ownDisk(host, rootDisk) };
    steps.undo.add('folder', async () => folders.delete(id));
    await steps.take('folder', 5, steps.timings.folderMs, () =>
      folders.set(id, { owner, rootDiskBytes: null, hasSeed: false, consoleLog: '' }),
    );
  }
  const change = (part: Partial<StoredFolder>) => {
    const folder = folders.get(id);
    if (folder !== undefined) folders.set(id, { ...folder, ...part });
  };
  // The disk of a guest that has run holds its data: a lost one is reported, not replaced by an empty one.
  if (folders.get(id)?.rootDiskBytes === null && host.domain(id) === undefined) {
    steps.undo.add('root disk', async () => change({ rootDiskBytes: null }));
    await steps.take('root-disk', 20, steps.timings.rootDiskMs, () => {
      requireSpace(host, freshFilesBytes);
      if (rootDisk.restored) takeFetched(host, rootDisk.restored);
      copyImage(host, desired);
      change({ rootDiskBytes: freshFilesBytes, diskSizeBytes: rootDisk.sizeBytes });
    });
  }
  if (folders.get(id)?.hasSeed === false) {
    steps.undo.add('seed', async () => change({ hasSeed: false }));
    await steps.take('seed', 40, steps.timings.seedMs, () => change({ hasSeed: true }));
  }
}

async function makeLeases({ host, desired, steps }: Work): Promise<void> {
  const { seed, nics, cloudId } = desired;
  const leased = ({ networkId, mac, address }: DesiredInstance['nics'][number]) =>
    findNetwork(host, networkId, cloudId).network.leases.some((it) => it.mac === mac && it.address === address);
  const missing = nics.filter((nic) => !leased(nic));
  if (missing.length === 0) return;
  steps.undo.add('leases', async () => {
    for (const { networkId, mac } of missing) removeLease(host, networkId, mac);
  });
  await steps.take('lease', 90, steps.timings.leasesMs, () => {
    for (const { networkId, mac, address } of missing) {
      addLease(host, networkId, { mac, address, hostName: seed.hostName });
    }
  });
}

async function define({ host, desired, steps }: Work): Promise<void> {
  const { id } = desired;
  const domain = host.domain(id);
  if (domain === undefined) {
    const wasDefined = host.store.folders.get(id)?.wasDefined;
    steps.undo.add('domain', async () => {
      const made = host.domain(id);
      if (made !== undefined) host.removeDomain(id, made);
      if (!wasDefined) markDefined(host, id, undefined);
    });
    const record = recordOf(desired, desired.reboot?.token ?? null);
    await steps.take('define', 60, steps.timings.defineMs, () => {
      markDefined(host, id, true);
      host.setDomain(id, { ...freshDomain, record });
    });
    return;
  }
  if (domain.isDefined && domain.record.generation === desired.generation) return;
  // A running guest is not interrupted; its reboot is still to be done.
  await steps.take(domain.isDefined ? 'metadata' : 'define', 60, steps.timings.defineMs, () => {
    const current = host.domain(id) ?? domain;
    const record = recordOf(desired, current.record.rebootToken);
    host.setDomain(id, { ...current, name: nameOf(current), isDefined: true, record, ran: undefined });
  });
}

/** So that a domain that is made again is told from one that is made. */
function markDefined(
  { store: { folders } }: SimulatedHost,
  id: DesiredInstance['id'],
  wasDefined: true | undefined,
): void {
  const folder = folders.get(id);
  if (folder === undefined || (folder.wasDefined === wasDefined && !folder.hasLeft)) return;
  folders.set(id, { ...folder, wasDefined, hasLeft: undefined });
}

const freshDomain: Omit<StoredDomain, 'record'> = {
  isDefined: true,
  power: 'off',
  reason: 'unknown',
  askedToStopUntilMs: null,
  offAtMs: null,
  boots: 0,
};

function requireNotLate(host: SimulatedHost, desired: DesiredInstance): void {
  const applied = host.domain(desired.id)?.record.generation ?? 0;
  if (desired.generation >= applied) return;
  throw new VirgaError('Conflict', {
    detail: `Generation ${desired.generation} of ${desired.id} came late: ${applied} has been applied.`,
    action: 'Read the instance again.',
  });
}

function requireImage(host: SimulatedHost, { rootDisk, cloudId }: DesiredInstance): void {
  if (rootDisk.imageId === null || host.store.images.get(rootDisk.imageId)?.cloudId === cloudId) return;
  throw new VirgaError('NotFound', {
    detail: `The image ${rootDisk.imageId} is not on the host.`,
    action: 'Import it first.',
  });
}

// Brings an instance of a simulated host one step nearer to what is desired: the same order, refusals and undo as on a
// real one. Owns the decisions; the host does the acts.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { recordOf } from '../libvirt/instances/domain-metadata.ts';
import type { CallSteps } from './call-steps.ts';
import { takeOver } from './foreign-domains.ts';
import type { StoredDomain, StoredFolder } from './host-records.ts';
import { requireNoStranger, requireSpace } from './host-rules.ts';
import { addLease, findNetwork, removeLease } from './network-leases.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** What an overlay and a seed take before the guest writes. */
const freshFilesBytes = 256 * 1024;

/** Everything the work needs to know. */
type Work = { host: SimulatedHost; desired: DesiredInstance; steps: CallSteps; now: () => number };

export async function convergeInstance(work: Work): Promise<void> {
  const { host, desired } = work;
  requireNoStranger(host, desired);
  requireNotLate(host, desired);
  if (desired.origin === 'adopted') return convergeAdopted(work);
  const domain = host.domain(desired.id);
  const isOn = domain !== undefined && domain.power !== 'off';
  if (isOn && domain.isDefined && desired.power.state === 'stopped') {
    // Needs neither image nor network.
    await define(work);
    return converge(work);
  }
  if (domain === undefined) requireImage(host, desired);
  for (const nic of desired.nics) findNetwork(host, nic.networkId, desired.cloudId);
  await makeFiles(work);
  await define(work);
  // A guest that is started now gets its lease after that, as on a real host.
  if (!isOn) await converge(work);
  await makeLeases(work);
  if (isOn) await converge(work);
}

/** Its definition and its disks are as they came. */
async function convergeAdopted(work: Work): Promise<void> {
  const { host, desired, steps } = work;
  for (const nic of desired.nics) findNetwork(host, nic.networkId, desired.cloudId);
  await takeOver(host, desired, steps);
  await makeLeases(work);
  if (desired.power.state === 'running' || current(work).power !== 'off') await converge(work);
}

const converge = (work: Work): Promise<void> => {
  const { power } = work.desired;
  return power.state === 'stopped' ? stop(work, Date.parse(power.forceAt)) : run(work);
};

async function makeFiles({ host, desired, steps }: Work): Promise<void> {
  const { id, cloudId, uuid, domainName, rootDisk } = desired;
  const { folders } = host.store;
  if (folders.get(id) === undefined) {
    const owner = { id, cloudId, uuid, domainName, imageId: rootDisk.imageId };
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
      change({ rootDiskBytes: freshFilesBytes });
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
    steps.undo.add('domain', async () => {
      const made = host.domain(id);
      if (made !== undefined) host.removeDomain(id, made);
    });
    const record = recordOf(desired, desired.reboot?.token ?? null);
    await steps.take('define', 60, steps.timings.defineMs, () => host.setDomain(id, { ...freshDomain, record }));
    return;
  }
  if (domain.isDefined && domain.record.generation === desired.generation) return;
  // A running guest is not interrupted; its reboot is still to be done.
  await steps.take(domain.isDefined ? 'metadata' : 'define', 60, steps.timings.defineMs, () => {
    const current = host.domain(id) ?? domain;
    host.setDomain(id, { ...current, isDefined: true, record: recordOf(desired, current.record.rebootToken) });
  });
}

const freshDomain: Omit<StoredDomain, 'record'> = {
  isDefined: true,
  power: 'off',
  reason: 'unknown',
  askedToStopUntilMs: null,
  offAtMs: null,
  boots: 0,
};

async function run(work: Work): Promise<void> {
  const { host, desired, steps } = work;
  const domain = current(work);
  if (domain.power === 'off') {
    requireFiles(host, desired);
    steps.undo.add('start', async () => {
      const started = host.domain(desired.id);
      if (started !== undefined && started.power !== 'off') host.endGuest(desired.id, started, 'destroyed');
    });
    await steps.take('start', 70, steps.timings.startMs, () =>
      host.startGuest(desired.id, withReboot(current(work), desired)),
    );
    return;
  }
  if (domain.askedToStopUntilMs !== null) {
    // It is started again once it is off. A guest that let the time pass has ignored the request, and simply runs.
    if (domain.offAtMs !== null || work.now() < domain.askedToStopUntilMs) return;
    host.setDomain(desired.id, { ...domain, askedToStopUntilMs: null });
  }
  if (domain.power === 'running' && desired.reboot !== null && desired.reboot.token !== domain.record.rebootToken) {
    await reboot(work, desired.reboot.how === 'reset');
  }
}

async function reboot(work: Work, isHard: boolean): Promise<void> {
  const { host, desired, steps } = work;
  await steps.take(isHard ? 'reset' : 'reboot', 80, 0, () => {
    const domain = withReboot(current(work), desired);
    if (isHard || host.answersAcpi(desired.id)) host.startGuest(desired.id, domain);
    else host.setDomain(desired.id, domain);
  });
}

async function stop(work: Work, forceAtMs: number): Promise<void> {
  const { host, desired, steps } = work;
  const { id } = desired;
  const domain = current(work);
  if (domain.power === 'off') {
    // Nothing runs that could be rebooted: a reboot that was asked for before is over.
    if (desired.reboot !== null && desired.reboot.token !== domain.record.rebootToken)
      host.setDomain(id, withReboot(domain, desired));
  } else if (work.now() >= forceAtMs) {
    await steps.take('force-off', 80, steps.timings.destroyMs, () => host.endGuest(id, current(work), 'destroyed'));
  } else if (domain.askedToStopUntilMs === null) {
    await steps.take('shutdown', 80, 0, () =>
      host.askGuestToStop(id, { ...current(work), askedToStopUntilMs: forceAtMs }, steps.timings.guestShutdownMs),
    );
  } else if (domain.askedToStopUntilMs !== forceAtMs) {
    host.setDomain(id, { ...domain, askedToStopUntilMs: forceAtMs });
  }
}

/** The domain as it is now: a step takes time, and others act meanwhile. @throws Conflict it was taken away */
function current({ host, desired }: Work): StoredDomain {
  const domain = host.domain(desired.id);
  if (domain !== undefined) return domain;
  throw new VirgaError('Conflict', {
    detail: `The domain of ${desired.id} was undefined while Virga worked on it.`,
    action: 'Nothing: it is tried again.',
  });
}

const withReboot = (domain: StoredDomain, desired: DesiredInstance): StoredDomain => ({
  ...domain,
  record: { ...domain.record, rebootToken: desired.reboot?.token ?? null },
});

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

function requireFiles(host: SimulatedHost, { id }: DesiredInstance): void {
  if (host.store.folders.get(id)?.rootDiskBytes !== null) return;
  throw new VirgaError('HypervisorRefused', {
    detail: `The root disk of ${id} is missing on the host.`,
    action: 'Bring the file back, or delete the instance.',
  });
}

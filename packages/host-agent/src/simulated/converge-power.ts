// Power of an instance on a simulated host: start, pause, reboot, hibernate, stop, cut off, and the name that only a domain
// that is off can be given. The same order and refusals as on a real one; the host does the acts.
import type { DesiredInstance, DesiredReboot } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { CallSteps } from './call-steps.ts';
import { nameOf, type StoredDomain } from './host-records.ts';
import { requireSpace } from './host-rules.ts';
import { answeringGuest } from './simulated-guest.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** Everything the work on one instance needs to know. */
export type Work = { host: SimulatedHost; desired: DesiredInstance; steps: CallSteps; now: () => number };

const bytesPerMib = 1024 * 1024;
const roomToGoOnBytes = 16 * bytesPerMib;

/** True when a guest that is off is to be on. */
export const isToBeOn = ({ power }: DesiredInstance): boolean => power.state === 'running' || power.state === 'paused';

export async function convergePower(work: Work): Promise<void> {
  const { power } = work.desired;
  if (current(work).power === 'off') return isToBeOn(work.desired) ? start(work) : stayOff(work);
  switch (power.state) {
    case 'stopped':
      return stop(work, Date.parse(power.forceAt));
    case 'hibernated':
      return hibernate(work);
    default:
      return stayOn(work);
  }
}

/** Gives a domain that is off the name that is desired. */
export async function rename(work: Work): Promise<void> {
  const { host, desired, steps } = work;
  const { id, domainName } = desired;
  const isToBeRenamed = (domain: StoredDomain | undefined): domain is StoredDomain =>
    domain?.power === 'off' && domain.savedMemory === undefined && nameOf(domain) !== domainName;
  const before = host.domain(id);
  if (!isToBeRenamed(before)) return;
  steps.undo.add('name', async () => {
    const now = host.domain(id);
    if (now !== undefined) host.setDomain(id, { ...now, name: nameOf(before) });
  });
  await steps.take('rename', 55, 0, () => {
    const now = host.domain(id);
    if (isToBeRenamed(now)) host.setDomain(id, { ...now, name: domainName });
  });
}

async function start(work: Work): Promise<void> {
  const { host, desired, steps } = work;
  const { id } = desired;
  requireFiles(host, desired);
  const { savedMemory } = current(work);
  if (savedMemory === 'broken') {
    await discardMemory(work);
    throw memoryUnusable(desired);
  }
  // To cut off what has been woken would lose what was saved of it.
  if (savedMemory === undefined) {
    steps.undo.add('start', async () => {
      const started = host.domain(id);
      if (started !== undefined && started.power !== 'off') host.endGuest(id, started, 'destroyed');
    });
  }
  await steps.take('start', 70, steps.timings.startMs, () => {
    const domain = withReboot(current(work), desired);
    if (domain.power !== 'off') return;
    if (desired.power.state === 'paused') host.startPaused(id, domain);
    else host.wakeGuest(id, domain);
  });
}

async function stayOff(work: Work): Promise<void> {
  const { host, desired } = work;
  const domain = current(work);
  // Nothing runs that could be rebooted: a reboot that was asked for before is over.
  if (desired.reboot !== null && desired.reboot.token !== domain.record.rebootToken) {
    host.setDomain(desired.id, withReboot(domain, desired));
  }
  const { power } = desired;
  if (power.state !== 'stopped' || domain.savedMemory === undefined) return;
  // Only who would cut a guest off gives saved memory up.
  if (work.now() >= Date.parse(power.forceAt)) await discardMemory(work);
}

async function stayOn(work: Work): Promise<void> {
  const { host, desired } = work;
  const { id, reboot, power } = desired;
  const domain = current(work);
  const due = reboot !== null && reboot.token !== domain.record.rebootToken ? reboot : undefined;
  if (due?.how === 'cycle') return cycle(work, due);
  if (power.state === 'paused') {
    if (domain.power === 'running') await suspend(work);
    return;
  }
  if (domain.power === 'paused' && !(await resume(work))) return;
  const running = current(work);
  if (running.askedToStopUntilMs !== null) {
    // It is started again once it is off. A guest that let the time pass has ignored the request, and simply runs.
    if (running.offAtMs !== null || work.now() < running.askedToStopUntilMs) return;
    host.setDomain(id, { ...running, askedToStopUntilMs: null });
  }
  if (due !== undefined) await rebootGuest(work, due.how);
}

async function cycle(work: Work, { forceAt }: DesiredReboot): Promise<void> {
  await stop(work, forceAt === undefined ? 0 : Date.parse(forceAt));
  const domain = work.host.domain(work.desired.id);
  if (domain?.power !== 'off') return;
  await rename(work);
  await start(work);
}

const suspend = ({ host, desired, steps }: Work): Promise<void> =>
  steps.take('suspend', 80, 0, () => {
    const domain = host.domain(desired.id);
    if (domain?.power === 'running') host.setDomain(desired.id, { ...domain, power: 'paused', reason: 'suspended' });
  });

/** @returns false when it cannot go on yet, because the storage is full */
async function resume(work: Work): Promise<boolean> {
  const { host, desired, steps } = work;
  if (current(work).reason === 'storage-full' && host.freeBytes() < roomToGoOnBytes) return false;
  await steps.take('resume', 80, 0, () => {
    const domain = host.domain(desired.id);
    if (domain?.power === 'paused') host.resumeGuest(desired.id, domain);
  });
  return true;
}

async function hibernate(work: Work): Promise<void> {
  const { host, desired, steps } = work;
  requireSpace(host, desired.memoryMib * bytesPerMib);
  await steps.take('hibernate', 80, steps.timings.startMs, () => {
    const domain = host.domain(desired.id);
    if (domain !== undefined && domain.power !== 'off') host.saveGuest(desired.id, domain);
  });
}

const discardMemory = ({ host, desired, steps }: Work): Promise<void> =>
  steps.take('discard-memory', 60, 0, () => {
    const domain = host.domain(desired.id);
    if (domain !== undefined) host.setDomain(desired.id, { ...domain, savedMemory: undefined });
  });

async function rebootGuest(work: Work, how: DesiredReboot['how']): Promise<void> {
  const { host, desired, steps } = work;
  const isHard = how === 'reset';
  await steps.take(isHard ? 'reset' : 'reboot', 80, 0, () => {
    if (how === 'agent') answeringGuest(host, desired.id);
    const domain = withReboot(current(work), desired);
    if (how !== 'acpi' || host.answersAcpi(desired.id)) host.startGuest(desired.id, domain);
    else host.setDomain(desired.id, domain);
  });
}

async function stop(work: Work, forceAtMs: number): Promise<void> {
  const { host, desired, steps } = work;
  const { id } = desired;
  if (work.now() >= forceAtMs) {
    return steps.take('force-off', 80, steps.timings.destroyMs, () => host.endGuest(id, current(work), 'destroyed'));
  }
  // One that stands still cannot hear the button.
  if (current(work).power === 'paused') await resume(work);
  const domain = current(work);
  if (domain.askedToStopUntilMs === null) {
    await steps.take('shutdown', 80, 0, () =>
      host.askGuestToStop(id, { ...current(work), askedToStopUntilMs: forceAtMs }, steps.timings.guestShutdownMs),
    );
  } else if (domain.askedToStopUntilMs !== forceAtMs) {
    host.setDomain(id, { ...domain, askedToStopUntilMs: forceAtMs });
  }
}

/** The domain as it is now: a step takes time, and others act meanwhile. @throws Conflict it was taken away */
export function current({ host, desired }: Work): StoredDomain {
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

function requireFiles(host: SimulatedHost, { id }: DesiredInstance): void {
  if (host.store.folders.get(id)?.rootDiskBytes !== null) return;
  throw new VirgaError('HypervisorRefused', {
    detail: `The root disk of ${id} is missing on the host.`,
    action: 'Bring the file back, or delete the instance.',
  });
}

const memoryUnusable = ({ name }: DesiredInstance) =>
  new VirgaError('SavedMemoryUnusable', {
    detail: `The saved memory of ${name} cannot be read, so it is off now and not hibernated.`,
    action: 'Start it: it boots from its disk, as after a loss of power.',
  });

// Volumes, cards and limits of a simulated guest that runs: plugged and pulled in the same order as on a real host. A guest
// that clings lets go of nothing. Owns the difference between what the guest has and what is desired.
import { isDeepStrictEqual } from 'node:util';
import type { DesiredInstance, DesiredVolumeAttachment } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { CallSteps } from './call-steps.ts';
import { devicesOf, type GuestDevices } from './host-records.ts';
import { removeLease } from './network-leases.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { requireVolume } from './simulated-volumes.ts';

type Work = { host: SimulatedHost; desired: DesiredInstance; steps: CallSteps };

/** Before a guest starts. @throws HypervisorRefused a volume is gone */
export function requireVolumes(host: SimulatedHost, { cloudId, volumes }: DesiredInstance): void {
  for (const { id } of volumes) requireVolume(host, cloudId, id);
}

/** @returns why it is not all done: the guest keeps a device */
export async function convergeDevices(work: Work): Promise<VirgaError | undefined> {
  const { host, desired, steps } = work;
  const now = (): GuestDevices => devicesOf(host.domain(desired.id)!);
  const set = (change: Partial<GuestDevices>) => {
    const domain = host.domain(desired.id);
    if (domain !== undefined) host.setDomain(desired.id, { ...domain, devices: { ...devicesOf(domain), ...change } });
  };
  const clings = host.clings(desired.id);
  const kept: string[] = [];

  for (const { id } of now().volumes.filter((volume) => !isWanted(desired, volume))) {
    await steps.take('detach-volume', 75, 0, () => {
      if (clings) kept.push(id);
      else set({ volumes: now().volumes.filter((volume) => volume.id !== id) });
    });
  }
  for (const { id, networkId, mac } of now().nics.filter((nic) => !desired.nics.some((one) => one.id === nic.id))) {
    await steps.take('detach-nic', 75, 0, () => {
      if (clings) kept.push(id);
      else {
        set({ nics: now().nics.filter((nic) => nic.id !== id) });
        removeLease(host, networkId, mac);
      }
    });
  }
  for (const volume of desired.volumes.filter(({ id }) => !now().volumes.some((one) => one.id === id))) {
    requireVolume(host, desired.cloudId, volume.id);
    if (volume.driver?.ioThread) await steps.take('add-thread', 76, 0, () => undefined);
    await steps.take('attach-volume', 77, 0, () => set({ volumes: [...now().volumes, volume] }));
  }
  for (const nic of desired.nics.filter(({ id }) => !now().nics.some((one) => one.id === id))) {
    await steps.take('attach-nic', 78, 0, () => set({ nics: [...now().nics, nic] }));
  }
  await limit(work, now, set);
  return kept.length > 0 ? guestKeeps(desired, kept) : undefined;
}

async function limit(
  { desired, steps }: Work,
  now: () => GuestDevices,
  set: (change: Partial<GuestDevices>) => void,
): Promise<void> {
  if (!isDeepStrictEqual(now().rootDiskLimits, desired.rootDisk.limits)) {
    await steps.take('limit-disk', 79, 0, () => set({ rootDiskLimits: desired.rootDisk.limits }));
  }
  for (const volume of desired.volumes) {
    const present = now().volumes.find(({ id }) => id === volume.id);
    if (present === undefined || isDeepStrictEqual(present.limits, volume.limits)) continue;
    const volumes = () => now().volumes.map((one) => (one.id === volume.id ? { ...one, limits: volume.limits } : one));
    await steps.take('limit-disk', 79, 0, () => set({ volumes: volumes() }));
  }
  for (const nic of desired.nics) {
    const present = now().nics.find(({ id }) => id === nic.id);
    if (present === undefined || isDeepStrictEqual(present.limits, nic.limits)) continue;
    const nics = () => now().nics.map((one) => (one.id === nic.id ? { ...one, limits: nic.limits } : one));
    await steps.take('limit-nic', 79, 0, () => set({ nics: nics() }));
  }
}

/** Takes the leases of cards away that the definition is about to lose. */
export async function removeGoneLeases({ host, desired, steps }: Work): Promise<void> {
  const gone = (host.domain(desired.id)?.record.desired.nics ?? []).filter(
    ({ id }) => !desired.nics.some((nic) => nic.id === id),
  );
  if (gone.length === 0) return;
  await steps.take('delete-leases', 50, 0, () => {
    for (const { networkId, mac } of gone) removeLease(host, networkId, mac);
  });
}

const isWanted = (desired: DesiredInstance, { id, target, readOnly }: DesiredVolumeAttachment): boolean =>
  desired.volumes.some((volume) => volume.id === id && volume.target === target && volume.readOnly === readOnly);

function guestKeeps({ name }: DesiredInstance, kept: readonly string[]): VirgaError {
  return new VirgaError('GuestUnavailable', {
    detail: `The guest of ${name} has not let go of ${kept.join(', ')}, and still has it.`,
    action: 'Unmount it in the guest, or stop the instance; the guest is asked again meanwhile.',
  });
}

// The disc in the drive of a simulated guest: found on the host before anything else is done, and changed while it runs. A
// guest that clings has locked the tray.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { hostIncapable, neededFeatures } from '@virga/contract/agent/host-features';
import { VirgaError } from '@virga/contract/errors';
import type { CallSteps } from './call-steps.ts';
import { devicesOf } from './host-records.ts';
import type { SimulatedHost } from './simulated-host.ts';

type Work = { host: SimulatedHost; desired: DesiredInstance; steps: CallSteps };

/** @throws HostIncapable */
export function requireFeatures({ features }: SimulatedHost, desired: DesiredInstance): void {
  const missing = neededFeatures(desired).find((feature) => !features.includes(feature));
  if (missing !== undefined) throw hostIncapable('The host', missing);
}

/** @throws NotFound */
export function requireDisc(host: SimulatedHost, { cdrom, cloudId }: DesiredInstance): void {
  const imageId = cdrom?.imageId ?? null;
  if (imageId === null || host.store.images.get(imageId)?.cloudId === cloudId) return;
  throw new VirgaError('NotFound', {
    detail: `The image ${imageId} is not on the host.`,
    action: 'Import it first.',
  });
}

/** @returns why it is not done: the guest keeps the disc */
export async function convergeDisc({ host, desired, steps }: Work): Promise<VirgaError | undefined> {
  const { id, name, cdrom } = desired;
  const domain = host.domain(id);
  const drive = domain && devicesOf(domain).cdrom;
  const wanted = cdrom?.imageId ?? null;
  if (!drive || drive.imageId === wanted) return undefined;
  const isLocked = drive.imageId !== null && host.clings(id) && cdrom?.forced !== true;
  await steps.take('change-disc', 79, 0, () => {
    const now = host.domain(id);
    if (isLocked || now === undefined) return;
    host.setDomain(id, { ...now, devices: { ...devicesOf(now), cdrom: { imageId: wanted } } });
  });
  if (!isLocked) return undefined;
  return new VirgaError('GuestUnavailable', {
    detail: `The guest of ${name} has locked the tray of its CD-ROM drive, and keeps the disc.`,
    action: 'Eject it in the guest, or open the tray with --force; the guest is asked again meanwhile.',
  });
}

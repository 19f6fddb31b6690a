// Gives a simulated guest other sizes while it runs, as far as it was started with room for them, and grows its disk. The host
// emulates, so a guest loses no vCPU while it runs.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { current, type Work } from './converge-power.ts';
import { sizesOf } from './guest-sizes.ts';
import type { GuestSizes, StoredDomain } from './host-records.ts';
import type { SimulatedHost } from './simulated-host.ts';

export async function convergeSizes(work: Work): Promise<void> {
  const { desired, steps } = work;
  const domain = current(work);
  if (domain.power === 'off') return;
  // It is about to be started anew.
  if (desired.reboot?.how === 'cycle' && desired.reboot.token !== domain.record.rebootToken) return;
  const { vcpus, maxVcpus, wantedMemoryMib, maxMemoryMib } = sizesOf(domain);
  const wantedVcpus = Math.min(desired.vcpus, maxVcpus);
  const memoryMib = Math.min(desired.memoryMib, maxMemoryMib);
  if (wantedVcpus > vcpus) {
    await steps.take('vcpus', 70, 0, () => change(work, () => ({ vcpus: wantedVcpus })));
  }
  if (memoryMib !== wantedMemoryMib) {
    const keeps = work.host.keepsMemory(desired.id);
    await steps.take('memory', 75, 0, () =>
      change(work, (sizes) => ({
        wantedMemoryMib: memoryMib,
        memoryMib: keeps ? Math.max(sizes.memoryMib, memoryMib) : memoryMib,
      })),
    );
  }
}

function change(work: Work, next: (sizes: GuestSizes) => Partial<GuestSizes>): void {
  const domain = current(work);
  const sizes = sizesOf(domain);
  work.host.setDomain(work.desired.id, { ...domain, sizes: { ...sizes, ...next(sizes) } });
}

/** The guest gives back what it was asked for. */
export function giveMemoryBack(host: SimulatedHost, id: DesiredInstance['id'], domain: StoredDomain): void {
  const sizes = sizesOf(domain);
  host.setDomain(id, { ...domain, sizes: { ...sizes, memoryMib: sizes.wantedMemoryMib } });
}

/** In the running guest or as a file. A disk never shrinks. */
export async function growDisk({ host, desired, steps }: Work): Promise<void> {
  const { folders } = host.store;
  const { id, rootDisk } = desired;
  const folder = folders.get(id);
  if (folder === undefined || folder.rootDiskBytes === null) return;
  if ((folder.diskSizeBytes ?? 0) >= rootDisk.sizeBytes) return;
  await steps.take('grow-disk', 45, 0, () => {
    const now = folders.get(id);
    if (now !== undefined) folders.set(id, { ...now, diskSizeBytes: rootDisk.sizeBytes });
  });
}

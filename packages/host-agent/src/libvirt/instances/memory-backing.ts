// What the memory of a domain is made of, and what of it a balloon takes back. Pure.
// @see https://libvirt.org/formatdomain.html#memory-backing
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { element } from '../xml.ts';

type Memory = Pick<DesiredInstance, 'memoryBacking'>;

export function memoryBackingElement({ memoryBacking: { hugePageKib, mergeable } }: Memory): string | false {
  const pages = hugePageKib !== null && element('page', { size: hugePageKib, unit: 'KiB' });
  if (mergeable && !pages) return false;
  return element(
    'memoryBacking',
    {},
    pages && element('hugepages', {}, pages),
    // QEMU asks the kernel to merge it unless it is told not to.
    !mergeable && element('nosharepages', {}),
  );
}

/** How often a guest tells what of its memory it uses. Each time wakes it for a moment. */
const statsSeconds = 10;

/**
 * Of a machine whose memory others have mapped too there is none: what a balloon takes from a guest, or a guest reports to it as
 * free, QEMU punches out of the file that the memory is mapped from, also when the mapping is private, and other copies would
 * find zeros there. Free memory that a guest reports goes back to the host. Of huge pages it would go to whoever asks for one next, and the guest
 * would be killed when it wants it again.
 */
export function balloonElement({ memoryBacking: { hugePageKib } }: Memory): string {
  const freePageReporting = hugePageKib === null ? 'on' : undefined;
  return element('memballoon', { model: 'virtio', freePageReporting }, element('stats', { period: statsSeconds }));
}

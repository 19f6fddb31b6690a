// Memory of whole huge pages: the rule, and what is said when a size does not keep it. Pure.
import { type HugePageKib, hugePageName } from '@virga/contract/agent/host-memory';
import { VirgaError } from '@virga/contract/errors';

/** @throws InvalidArgument the memory would end within a page */
export function refuseBrokenPages(memoryMib: number, hugePageKib: HugePageKib | null, field = '/memoryMib'): void {
  if (hugePageKib === null || (memoryMib * 1024) % hugePageKib === 0) return;
  const pageMib = hugePageKib / 1024;
  throw new VirgaError('InvalidArgument', {
    detail: `${memoryMib} MiB are no whole number of huge pages of ${hugePageName(hugePageKib)}.`,
    action: `Ask for ${Math.ceil(memoryMib / pageMib) * pageMib} MiB.`,
    field,
  });
}

/** @throws InvalidArgument memory of huge pages is all there from the start */
export function refuseRoomInPages(
  memoryMib: number,
  maxMemoryMib: number | null | undefined,
  hugePageKib: HugePageKib | null,
): void {
  if (hugePageKib === null || (maxMemoryMib ?? memoryMib) === memoryMib) return;
  throw new VirgaError('InvalidArgument', {
    detail: 'Memory of huge pages is all there when the guest starts, and none can be added while it runs.',
    action: 'Leave the maximum of memory out, or choose a type of ordinary pages.',
    field: '/maxMemoryMib',
  });
}

// What a simulated guest has since it was started, and what of it is shown. Pure.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ObservedInstance } from '@virga/contract/agent/observed';
import type { GuestSizes, StoredDomain } from './host-records.ts';

/** Of a guest that is started from a definition. */
export const startingSizes = ({ vcpus, maxVcpus, memoryMib, maxMemoryMib }: DesiredInstance): GuestSizes => ({
  vcpus,
  maxVcpus,
  memoryMib,
  wantedMemoryMib: memoryMib,
  maxMemoryMib,
});

export const sizesOf = ({ sizes, record }: StoredDomain): GuestSizes => sizes ?? startingSizes(record.desired);

export function observedSizes(domain: StoredDomain): Pick<ObservedInstance, 'sizes'> {
  if (domain.power === 'off') return {};
  const { vcpus, memoryMib } = sizesOf(domain);
  return { sizes: { vcpus, memoryMib } };
}

// Limits of disks, checked before they are written: what QEMU would refuse later is refused here. Pure.
import type { DiskLimits } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';

const bursts = [
  ['burstIops', 'iops'],
  ['burstBytesPerSecond', 'bytesPerSecond'],
] as const;

/** @returns null for no limits @throws InvalidArgument a burst without, or below, its limit */
export function readDiskLimits(limits: DiskLimits | undefined, field: string): DiskLimits | null {
  if (limits === undefined || Object.keys(limits).length === 0) return null;
  for (const [burst, base] of bursts) {
    const [burstRate, baseRate] = [limits[burst], limits[base]];
    if (burstRate === undefined) continue;
    if (baseRate !== undefined && burstRate >= baseRate) continue;
    throw new VirgaError('InvalidArgument', {
      detail:
        baseRate === undefined
          ? `${burst} is a burst above ${base}, which is not limited.`
          : `${burst} is ${burstRate}, below ${base}, which is ${baseRate}.`,
      action: `Give ${base} too, and a ${burst} that is not below it.`,
      field: `${field}/${burst}`,
    });
  }
  if (limits.burstSeconds !== undefined && bursts.every(([burst]) => limits[burst] === undefined)) {
    throw new VirgaError('InvalidArgument', {
      detail: 'burstSeconds says how long a burst may last, and there is none.',
      action: 'Give burstIops or burstBytesPerSecond too.',
      field: `${field}/burstSeconds`,
    });
  }
  return limits;
}

// Limits of disks and network interfaces, checked before they are written: what QEMU or the host would refuse later is
// refused here. Pure but for the question what a host can.
import type { DiskLimits, NicLimits } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';

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

/** @returns null for no limits @throws InvalidArgument a burst without a rate | HostIncapable */
export async function readNicLimits(
  tx: Tx,
  hostId: HostId,
  limits: NicLimits | undefined,
  field: string,
): Promise<NicLimits | null> {
  if (limits === undefined || Object.keys(limits).length === 0) return null;
  if (limits.inboundBytesPerSecond === undefined && limits.outboundBytesPerSecond === undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: 'burstBytes may pass above a rate, and there is none.',
      action: 'Give inboundBytesPerSecond or outboundBytesPerSecond too.',
      field: `${field}/burstBytes`,
    });
  }
  const host = await tx
    .selectFrom('hosts')
    .select(['name', 'facts'])
    .where('id', '=', hostId)
    .executeTakeFirstOrThrow();
  if (host.facts?.nicLimits === true) return limits;
  throw new VirgaError('HostIncapable', {
    detail: `The kernel of host ${host.name} cannot limit network interfaces: it lacks the disciplines htb, sfq or ingress.`,
    action: 'Load them there: modprobe sch_htb sch_sfq sch_ingress, then restart the server; or do without a limit.',
    field: field === '' ? undefined : field,
  });
}

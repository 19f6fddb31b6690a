// Limits of network interfaces, checked before they are written: what the host would refuse later is refused here.
import type { NicLimits } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';

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

// The hint that an instance wants work. Its payload names the host too, so that only one reconciler looks.
import type { HostId, InstanceId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';

/** Sent when, and only when, the transaction commits. */
export async function wakeInstance(tx: Tx, hostId: HostId, id: InstanceId): Promise<void> {
  await notify(tx, 'instances', `${hostId} ${id}`);
}

export function readWake(payload: string): { hostId: HostId; id: InstanceId } {
  const [hostId = '', id = ''] = payload.split(' ');
  return { hostId: hostId as HostId, id: id as InstanceId };
}

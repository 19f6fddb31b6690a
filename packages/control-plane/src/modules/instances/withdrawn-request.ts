// Requests that a host cannot do and that are not to be tried again when nobody expects it any more: the instance is left as
// it is, or as what is left of it, and only the operation has failed.
import type { VirgaError } from '@virga/contract/errors';
import type { Updateable } from 'kysely';
import type { SystemAccess } from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { endOperation } from '../operations/operation-store.ts';
import { release } from '../placement/placement.ts';
import { heldBy, unallocated } from './instance-room.ts';
import type { InstanceRow } from './instance-store.ts';

type Columns = Updateable<Database['instances']>;
type Held = Pick<InstanceRow, 'converged_generation' | 'allocated' | 'operation_id'> & Parameters<typeof heldBy>[0];

/**
 * Withdraws what was asked for. The row must be held.
 * @returns false when this failure is of another kind, and nothing was done
 */
export async function withdrawRequest(
  tx: Tx,
  access: SystemAccess,
  row: InstanceRow,
  current: Held,
  error: VirgaError,
  now: Date,
): Promise<boolean> {
  const set = withdrawn(row, current, error, now);
  if (!set) return false;
  const isOff = set.desired === 'stopped';
  await tx
    .updateTable('instances')
    .set({
      ...set,
      ...(isOff && unallocated),
      generation: row.generation + 1,
      operation_id: null,
      failure: null,
      failures: 0,
      retry_at: null,
    })
    .where('id', '=', row.id)
    .execute();
  if (current.operation_id) await endOperation(tx, access, current.operation_id, { error }, now);
  await appendEvent(tx, access, {
    type: isOff ? 'instance.memory-lost' : 'instance.failed',
    projectId: row.project_id,
    resourceId: row.id,
    resourceName: row.name,
    message: `Instance ${row.name}: ${error.detail}`,
    data: { code: error.code },
  });
  if (isOff && current.allocated) await release(tx, access, row.host_id, heldBy(current));
  return true;
}

/** What is desired afterwards. */
function withdrawn(row: InstanceRow, current: Held, { code }: VirgaError, now: Date): Columns | undefined {
  if (code === 'SavedMemoryUnusable') return { desired: 'stopped', force_at: now };
  // What is on the host by now is told by the host; only what is being asked for can be withdrawn.
  if (row.generation === current.converged_generation) return undefined;
  const { desired, observed_state: observed, reboot } = row;
  if (desired === 'hibernated' && observed !== 'absent') {
    return { desired: observed === 'paused' ? 'paused' : 'running' };
  }
  const isGuests = code === 'GuestUnavailable' || code === 'GuestRefused';
  return isGuests && reboot?.how === 'agent' ? { reboot: null } : undefined;
}

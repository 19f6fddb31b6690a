// Follows an instance that somebody has moved to another host of the cloud, as with `virsh migrate`. In one transaction it is of
// the new host, with all that it holds of processors and memory, and of the old one no longer. What the new host cannot hold,
// or cannot see, is refused, and then the instance stays counted where it was. The reconciler of the new host does the rest.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { placeOn, release } from '../placement/placement.ts';
import { findVolume, moveVolumeToHost } from '../volumes/volume-store.ts';
import { about, holdInstance } from './instance-outcome.ts';
import { heldBy, neededBy, unallocated } from './instance-room.ts';
import { type InstanceRow, openOperationOf } from './instance-store.ts';
import { wakeInstance } from './instance-wake.ts';

type Context = { deps: Deps; access: SystemAccess };

/**
 * Nothing happens when something else has been asked for meanwhile.
 * @throws NoCapacity the host has no room for it, such as host CPUs of its own
 * @throws Conflict the host does not see a volume of it, or the pool of its root disk
 */
export async function followInstance(
  { deps, access }: Context,
  row: InstanceRow,
  to: RegisteredHost,
  seen: Pick<ObservedInstance, 'state' | 'reason'>,
): Promise<void> {
  const now = deps.clock.now();
  await inTransaction(deps.db, async (tx) => {
    const current = await holdInstance(tx, row);
    if (!current) return;
    await bringDisks(tx, access, row, to);
    // Both in one order: another one may be on its way back.
    await tx
      .selectFrom('hosts')
      .select('id')
      .where('id', 'in', [row.host_id, to.id])
      .orderBy('id')
      .forUpdate()
      .execute();
    if (current.allocated) await release(tx, access, row.host_id, heldBy(current));
    const power = powerThere(row, seen, now);
    const allocated = row.desired !== 'deleted' && (power?.allocated ?? current.allocated);
    await tx
      .updateTable('instances')
      .set({
        host_id: to.id,
        observed_state: seen.state,
        observed_reason: seen.reason,
        // They were chosen among those of the old host.
        cpu_wanted: null,
        generation: row.generation + 1,
        operation_id: (await openOperationOf(tx, row.operation_id)) ?? null,
        failure: null,
        failures: 0,
        retry_at: null,
        ...power,
        ...(!allocated && unallocated),
      })
      .where('id', '=', row.id)
      .execute();
    await tx.updateTable('snapshots').set({ host_id: to.id }).where('instance_id', '=', row.id).execute();
    const demand = current.allocated ? heldBy(current) : neededBy({ ...row, cpu_wanted: null });
    if (allocated) await placeOn(tx, access, to.id, demand, { isThere: true });
    await appendEvent(tx, access, {
      ...about(row, 'instance.moved-outside'),
      message: `Instance ${row.name} was moved beside Virga from host ${row.host_name} to host ${to.name}; it is of that host from now on.`,
      data: { fromHostId: row.host_id, fromHost: row.host_name, toHostId: to.id, toHost: to.name },
    });
    for (const networkId of new Set(row.nics.map((nic) => nic.networkId))) await notify(tx, 'networks', networkId);
    await wakeInstance(tx, to.id, row.id);
  });
}

/** What is desired from now on, when somebody has started it there, or its guest has shut itself down since. */
function powerThere(row: InstanceRow, { state, reason }: Pick<ObservedInstance, 'state' | 'reason'>, now: Date) {
  if (row.generation !== row.converged_generation) return undefined;
  const wasOn = row.desired === 'running' || row.desired === 'paused';
  if (wasOn && state === 'stopped' && reason === 'guest-shutdown') {
    return { desired: 'stopped', force_at: now, allocated: false } as const;
  }
  if (wasOn || row.desired === 'deleted' || (state !== 'running' && state !== 'paused')) return undefined;
  return { desired: state, force_at: null, allocated: true, started_at: now } as const;
}

/** @throws Conflict */
async function bringDisks(tx: Tx, access: SystemAccess, row: InstanceRow, to: RegisteredHost): Promise<void> {
  for (const { id, name } of row.volumes) {
    const volume = await findVolume(tx, id);
    if (volume && volume.host_id !== to.id && !(await moveVolumeToHost(tx, access, volume, to.id))) {
      throw unseen(to, `the volume ${name}`);
    }
  }
  if (row.root_pool_id !== null && !(await hasPool(tx, row.root_pool_id, to.id))) {
    throw unseen(to, 'the pool of its root disk');
  }
}

async function hasPool(tx: Tx, poolId: NonNullable<InstanceRow['root_pool_id']>, hostId: HostId): Promise<boolean> {
  const link = await tx
    .selectFrom('pool_hosts')
    .select('host_id')
    .where('pool_id', '=', poolId)
    .where('host_id', '=', hostId)
    .where('converged_generation', '>', 0)
    .executeTakeFirst();
  return link !== undefined;
}

const unseen = (to: RegisteredHost, what: string) =>
  new VirgaError('Conflict', {
    detail: `Host ${to.name} does not have ${what}.`,
    action: 'See which hosts have a pool with virga pools list.',
  });

/** What it may be refused for. */
export const followRefusals: ReadonlySet<string> = new Set(['NoCapacity', 'Conflict']);

export const movedInVain = ({ name, host_name }: InstanceRow, to: RegisteredHost, refusal: VirgaError) =>
  new VirgaError(refusal.code, {
    detail: `Instance ${name} was moved beside Virga from host ${host_name} to host ${to.name}, which cannot be counted on for it: ${refusal.detail}`,
    action: `Make room there, and it is followed; or move it back with virsh migrate. ${refusal.action}`,
  });

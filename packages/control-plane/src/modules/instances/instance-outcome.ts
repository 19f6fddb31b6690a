// Writes down how far a host has come with an instance: reached, failed, gone. Each is one transaction that holds the row
// and changes nothing when a newer request has come meanwhile.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, OperationId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { backOffMs } from '../../reconcile/back-off.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { failureOf } from '../../store/failure.ts';
import { notify } from '../../store/notifications.ts';
import { releaseAddresses } from '../networks/address-store.ts';
import { endOperation, progressOperation } from '../operations/operation-store.ts';
import { isNothing } from '../placement/demand.ts';
import { release } from '../placement/placement.ts';
import { forgetDetached, leaveVolumes } from './device-store.ts';
import { isReached } from './instance.ts';
import { givenBack, heldBy, heldColumns, surplusLeft, unallocated } from './instance-room.ts';
import { failureError, findInstance, type InstanceRow } from './instance-store.ts';
import { tellReached } from './reached-events.ts';
import { recordReleased } from './released-instances.ts';
import { withdrawRequest } from './withdrawn-request.ts';

type Context = { deps: Deps; access: SystemAccess };

/** A clean-up is tried this often before its operation says that it failed. It goes on nevertheless. */
const patientDeletes = 5;

/**
 * Holds the row. Undefined when it is gone or has been asked for something else since it was read. Who has asked for the same
 * again has an operation since then: what is to end is the operation of now.
 */
export async function holdInstance(tx: Tx, row: InstanceRow) {
  const current = await tx
    .selectFrom('instances')
    .select(['generation', 'converged_generation', 'allocated', 'operation_id', ...heldColumns])
    .where('id', '=', row.id)
    .forUpdate()
    .executeTakeFirst();
  return current?.generation === row.generation ? current : undefined;
}

/** Writes down what its own host has shown, whatever was asked for, and tells when a guest stands still for want of room. */
export async function recordObserved(
  { deps, access }: Context,
  hostId: HostId,
  observed: ObservedInstance,
): Promise<void> {
  const { state, reason } = observed;
  const before = await deps.db
    .with('before', (db) => db.selectFrom('instances').selectAll().where('id', '=', observed.id).forUpdate())
    .updateTable('instances')
    .from('before')
    .set({ observed_state: state, observed_reason: reason, ...sizesOf(observed) })
    .whereRef('instances.id', '=', 'before.id')
    .where('before.host_id', '=', hostId)
    .where((where) =>
      where.or([
        where('before.observed_state', '!=', state),
        where('before.observed_reason', '!=', reason),
        where('before.observed_vcpus', 'is distinct from', sizesOf(observed).observed_vcpus),
        where('before.observed_memory_mib', 'is distinct from', sizesOf(observed).observed_memory_mib),
      ]),
    )
    .returning(['before.id', 'before.project_id', 'before.name', 'before.observed_state'])
    .executeTakeFirst();
  if (!before || before.observed_state === state || reason !== 'storage-full') return;
  await inTransaction(deps.db, async (tx) => {
    // They are told of as full now, and not with the next look at them.
    await notify(tx, 'pools');
    await appendEvent(tx, access, {
      ...about(before, 'instance.storage-full'),
      message: `Instance ${before.name} stands still because there is no room where one of its disks lies: see virga pools. It goes on once there is.`,
      data: { reason },
    });
  });
}

/**
 * The host has done what it was asked for, or is under way.
 * @returns whether the instance is as desired now
 */
export async function recordApplied(context: Context, row: InstanceRow, observed: ObservedInstance): Promise<boolean> {
  const { deps, access } = context;
  if (!isReached(row.desired, observed)) {
    await recordObserved(context, row.host_id, observed);
    return false;
  }
  const now = deps.clock.now();
  return inTransaction(deps.db, async (tx) => {
    const current = await holdInstance(tx, row);
    if (!current) {
      // It was asked for something else meanwhile, and that call finds the definition made again already.
      if (observed.redefined && (await findInstance(tx, row.id))) await tellRedefined(tx, access, row);
      return false;
    }
    const isFreed = (row.desired === 'stopped' || row.desired === 'hibernated') && current.allocated;
    const isNew = row.generation !== current.converged_generation;
    const isResized = row.resized_generation > current.converged_generation;
    const left = surplusLeft(current, observed);
    const isOtherPower = row.power_generation > current.converged_generation;
    const { operation_id: operationId } = current;
    const kind = operationId ? await kindOf(tx, operationId) : undefined;
    await tx
      .updateTable('instances')
      .set({
        converged_generation: row.generation,
        observed_state: observed.state,
        observed_reason: observed.reason,
        ...sizesOf(observed),
        failure: null,
        ...(isNew && { failures: 0, retry_at: null }),
        ...(isFreed ? unallocated : left),
        ...(isNew && hasStarted(row, kind) && { started_at: now }),
        ...(row.template_id && { launch_path: observed.warm ? 'warm' : 'cold' }),
      })
      .where('id', '=', row.id)
      .execute();
    await forgetDetached(tx, access, row, now);
    // Without an operation it was adopted, which has been told already.
    if (isOtherPower && kind !== undefined) await tellReached(tx, access, row, kind, observed);
    else if (isNew && !isResized) await tellChanged(tx, access, row);
    // One that is as desired is repaired, which is told there.
    if (isNew && observed.redefined) await tellRedefined(tx, access, row);
    if (isResized) await tellResized(tx, access, row, observed);
    const message = observed.notes?.join(' ');
    const error = row.desired === 'running' && observed.reason === 'storage-full' ? standsStill(row) : undefined;
    if (operationId) await endOperation(tx, access, operationId, { message, error }, now);
    // The row of the host comes last: every launch waits for it.
    const freed = isFreed ? heldBy(current) : givenBack(current, left);
    if (!isNothing(freed)) await release(tx, access, row.host_id, freed);
    return true;
  });
}

/** Whether the guest has been started by what was asked for, and did not just go on. */
function hasStarted({ desired, observed_state: before, started_at, reboot }: InstanceRow, kind?: string): boolean {
  if (desired !== 'running' && desired !== 'paused') return false;
  const wasOff = before === 'absent' || before === 'stopped' || before === 'hibernated';
  return wasOff || started_at === null || reboot?.how === 'cycle' || (kind === 'instance.start' && before !== 'paused');
}

async function kindOf(tx: Tx, id: OperationId): Promise<string | undefined> {
  return (await tx.selectFrom('operations').select('kind').where('id', '=', id).executeTakeFirst())?.kind;
}

const standsStill = ({ name, host_name }: InstanceRow) =>
  new VirgaError('StorageFull', {
    detail: `The guest of ${name} stands still, because there is no room on host ${host_name} where one of its disks lies.`,
    action: 'See virga pools, and make room there: it goes on by itself then.',
  });

async function tellChanged(tx: Tx, access: SystemAccess, row: InstanceRow): Promise<void> {
  if (row.operation_id === null) return;
  await appendEvent(tx, access, {
    ...about(row, 'instance.changed'),
    message: `Instance ${row.name} is on host ${row.host_name} as it was asked for.`,
    data: { generation: row.generation },
  });
}

async function tellRedefined(tx: Tx, access: SystemAccess, row: InstanceRow): Promise<void> {
  await appendEvent(tx, access, {
    ...about(row, 'instance.repaired'),
    message: `Instance ${row.name} was undefined beside Virga and was brought back.`,
    data: { generation: row.generation },
  });
}

async function tellResized(tx: Tx, access: SystemAccess, row: InstanceRow, { notes }: ObservedInstance): Promise<void> {
  const { type, vcpus, memory_mib: memoryMib, disk_bytes: diskBytes } = row;
  const told = `Instance ${row.name} is given ${vcpus} vCPU, ${memoryMib} MiB and a disk of ${diskBytes} bytes.`;
  await appendEvent(tx, access, {
    ...about(row, 'instance.resized'),
    message: [told, ...(notes ?? [])].join(' '),
    data: { type, vcpus, memoryMib, diskBytes, notes: notes ?? [] },
  });
}

/** What a host shows of the sizes; nothing while it is off. */
const sizesOf = ({ sizes }: Pick<ObservedInstance, 'sizes'>) => ({
  observed_vcpus: sizes?.vcpus ?? null,
  observed_memory_mib: sizes?.memoryMib ?? null,
});

/** The instance is gone from its host: nothing of it stays but events and operations. */
export async function recordDeleted({ deps, access }: Context, row: InstanceRow): Promise<boolean> {
  const now = deps.clock.now();
  return inTransaction(deps.db, async (tx) => {
    const current = await holdInstance(tx, row);
    if (!current) return false;
    if (row.released) await recordReleased(tx, access, row, now);
    else
      await releaseAddresses(
        tx,
        access,
        row.nics.map(({ id }) => id),
        now,
      );
    await tellGone(tx, access, row, current.converged_generation === 0 ? row.failure : null);
    if (current.operation_id) {
      const error = row.failure ? failureError(row.failure) : undefined;
      await endOperation(tx, access, current.operation_id, { error }, now);
    }
    await leaveVolumes(tx, access, row);
    await tx.deleteFrom('instances').where('id', '=', row.id).execute();
    if (current.allocated) await release(tx, access, row.host_id, heldBy(current));
    return true;
  });
}

async function tellGone(tx: Tx, access: SystemAccess, row: InstanceRow, failed: InstanceRow['failure']): Promise<void> {
  const { name, domain_name, origin } = row;
  if (failed) {
    const [what, type] =
      origin === 'adopted' ? ['adoption', 'instance.adopt-failed'] : ['launch', 'instance.launch-failed'];
    const message = `The ${what} of instance ${name} failed and was undone: ${failed.detail}`;
    return appendEvent(tx, access, { ...about(row, type), message });
  }
  if (row.released) {
    const message = `Instance ${name} was released: the domain ${domain_name} goes on with its disks, and its addresses stay reserved.`;
    return appendEvent(tx, access, { ...about(row, 'instance.released'), message });
  }
  const rest = origin === 'adopted' ? ` The domain ${domain_name} was undefined; its files stay where they are.` : '';
  await appendEvent(tx, access, { ...about(row, 'instance.deleted'), message: `Instance ${name} was deleted.${rest}` });
}

/**
 * The host cannot do it, and trying again at once would not help. A launch is undone. Anything else fails its operation
 * and is tried again ever less often, so that it mends itself when the cause goes.
 * @returns when to try again, in ms
 */
export async function recordFailed({ deps, access }: Context, row: InstanceRow, error: VirgaError): Promise<number> {
  const now = deps.clock.now();
  const { detail } = error;
  const failure = failureOf(error);
  const failures = row.failures + 1;
  const delayMs = backOffMs(failures);
  return inTransaction(deps.db, async (tx) => {
    const current = await holdInstance(tx, row);
    if (!current) return 0;
    const { operation_id: operationId } = current;
    if (row.desired !== 'deleted' && current.converged_generation === 0) {
      await tx
        .updateTable('instances')
        .set({
          desired: 'deleted',
          // A domain that could not be taken over stays whose it is.
          released: row.origin === 'adopted',
          failure,
          failures: 0,
          retry_at: null,
          generation: row.generation + 1,
        })
        .where('id', '=', row.id)
        .execute();
      if (operationId) await progressOperation(tx, access, operationId, { message: `undoing: ${detail}` }, now);
      return 0;
    }
    if (await withdrawRequest(tx, access, row, current, error, now)) return 0;
    const isPatient = row.desired === 'deleted' && failures < patientDeletes;
    await tx
      .updateTable('instances')
      .set({
        failures,
        retry_at: new Date(now.getTime() + delayMs),
        ...(!isPatient && row.failure === null && { failure }),
      })
      .where('id', '=', row.id)
      .execute();
    if (isPatient) {
      if (operationId) await progressOperation(tx, access, operationId, { message: `trying again: ${detail}` }, now);
      return delayMs;
    }
    const hasEnded =
      operationId &&
      (await endOperation(tx, access, operationId, { error: row.failure ? failureError(row.failure) : error }, now));
    if (hasEnded || row.failure === null) {
      await appendEvent(tx, access, { ...about(row, 'instance.failed'), message: `Instance ${row.name}: ${detail}` });
    }
    return delayMs;
  });
}

/** What was wrong is no longer so, without Virga having done anything about it. */
export async function forgetFailure({ deps }: Context, row: InstanceRow): Promise<void> {
  await deps.db
    .updateTable('instances')
    .set({ failure: null })
    .where('id', '=', row.id)
    .where('generation', '=', row.generation)
    .execute();
}

export function about(row: Pick<InstanceRow, 'project_id' | 'id' | 'name'>, type: string) {
  return { type, projectId: row.project_id, resourceId: row.id, resourceName: row.name };
}

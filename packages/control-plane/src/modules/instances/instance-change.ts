// Writes a change of what is desired: a new generation with an operation of its own, which overtakes what was under way.
import type { OperationId } from '@virga/contract/ids';
import type { Updateable } from 'kysely';
import type { CloudAccess, ProjectAccess, SystemAccess } from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { createOperation, endOperation, overtakeOperations } from '../operations/operation-store.ts';
import { failureError, type InstanceRow, openOperationOf } from './instance-store.ts';
import { wakeInstance } from './instance-wake.ts';

type Columns = Updateable<Database['instances']>;

/** Somebody of the project, or what acts by itself, such as an expiry. */
export type Requester = ProjectAccess<'operator'> | CloudAccess<'admin'> | SystemAccess;

export type InstanceChange = {
  /** Of the operation, such as instance.stop. */
  kind: string;
  set: Pick<Columns, 'desired' | 'allocated' | 'merges' | 'force_at' | 'reboot' | 'released'> &
    SizeColumns &
    HardwareColumns;
  /** Of the event that tells it was asked for. */
  data?: Record<string, unknown>;
};

export type HardwareColumns = Pick<
  Columns,
  | ('hardware' | 'firmware' | 'tpm' | 'watchdog' | 'boot_order')
  | ('cdrom_drive' | 'cdrom_image_id' | 'cdrom_forced' | 'root_disk_driver')
>;

type SizeColumns = Pick<
  Columns,
  | ('type' | 'vcpus' | 'memory_mib' | 'max_vcpus' | 'max_memory_mib' | 'disk_bytes')
  | ('surplus_vcpus' | 'surplus_memory_mib' | 'huge_page_kib' | 'resized_generation')
  | ('cpu_policy' | 'cpu_shares' | 'cpu_cap_percent' | 'cpu_wanted')
>;

/** What the next request forgets of the one before. */
const fresh = { force_at: null, reboot: null, failure: null, failures: 0, retry_at: null } as const;

export async function changeInstance(
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  { kind, set, data }: InstanceChange,
  now: Date,
): Promise<OperationId> {
  const open = row.failure && (await openOperationOf(tx, row.operation_id));
  // The clean-up of what failed is overtaken too, but what people want to know of it is why it failed.
  if (open) await endOperation(tx, access, open, { error: failureError(row.failure!) }, now);
  await overtakeOperations(tx, access, row.id, kind, now);
  const generation = row.generation + 1;
  const operationId = await insertOperation(tx, access, row, kind, generation, data);
  await tx
    .updateTable('instances')
    .set({ ...fresh, ...set, generation, power_generation: generation, operation_id: operationId })
    .where('id', '=', row.id)
    .execute();
  await wakeInstance(tx, row.host_id, row.id);
  return operationId;
}

/**
 * Changes what an instance is, and not its power: what is under way goes on with the change, and the request follows that
 * operation. When nothing is under way it has one of its own.
 */
export async function amendInstance(
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  {
    kind,
    set,
    data,
  }: Pick<InstanceChange, 'kind' | 'data'> & { set: Omit<Columns, 'desired' | 'generation' | 'operation_id'> },
): Promise<OperationId> {
  const generation = row.generation + 1;
  const isThere = row.generation === row.converged_generation;
  const open = await openOperationOf(tx, row.operation_id);
  if (open) await tellRequested(tx, access, row, kind, data);
  const operationId = open ?? (await insertOperation(tx, access, row, kind, generation, data));
  await tx
    .updateTable('instances')
    .set({
      // A reboot that is over is not under way again.
      ...(isThere && { reboot: null }),
      // Why an earlier request failed is no reason why this one does.
      ...(open === undefined && { failure: null, failures: 0 }),
      ...set,
      ...{ generation, operation_id: operationId, retry_at: null },
    })
    .where('id', '=', row.id)
    .execute();
  await wakeInstance(tx, row.host_id, row.id);
  return operationId;
}

/**
 * Follows the operation that is bringing the instance there already, hurrying it with `set`; when there is none, because
 * the instance is there, one that has succeeded.
 */
export async function joinOperation(
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  kind: string,
  now: Date,
  set?: Pick<Columns, 'force_at'>,
): Promise<OperationId> {
  const open = await openOperationOf(tx, row.operation_id);
  if (set) {
    await tx
      .updateTable('instances')
      .set({ ...set, generation: row.generation + 1 })
      .where('id', '=', row.id)
      .execute();
  }
  const isThere = row.generation === row.converged_generation;
  if (!isThere) await wakeInstance(tx, row.host_id, row.id);
  if (open) return open;
  const operationId = await insertOperation(tx, access, row, kind, row.generation + (set ? 1 : 0));
  if (isThere) await endOperation(tx, access, operationId, {}, now);
  else {
    // Who asks again wants it tried again now.
    const anew = { operation_id: operationId, failure: null, failures: 0, retry_at: null };
    await tx.updateTable('instances').set(anew).where('id', '=', row.id).execute();
  }
  return operationId;
}

async function insertOperation(
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  kind: string,
  generation: number,
  data?: InstanceChange['data'],
): Promise<OperationId> {
  await tellRequested(tx, access, row, kind, data);
  return createOperation(tx, access, {
    kind,
    projectId: row.project_id,
    resourceId: row.id,
    resourceName: row.name,
    generation,
  });
}

async function tellRequested(
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  kind: string,
  data?: InstanceChange['data'],
): Promise<void> {
  await appendEvent(tx, access, {
    type: `${kind}-requested`,
    projectId: row.project_id,
    resourceId: row.id,
    resourceName: row.name,
    message: `${kind
      .replace('instance.', '')
      .replaceAll('-', ' ')
      .replace(/^./, (letter) => letter.toUpperCase())} of instance ${row.name} was asked for.`,
    ...(data && { data }),
  });
}

// Changes of what an instance has, as one transaction each: the row of the instance is held, the change written beside it,
// and the instance goes on with it. What is there already succeeds at once.
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { amendInstance, joinOperation } from './instance-change.ts';
import { changedMeanwhile, requireInstance } from './instance-operations.ts';
import { findInstance, type InstanceRow, toInstance } from './instance-store.ts';

export type Changed = { instance: Instance; operationId: OperationId };
export type DeviceChange = {
  /** Of the operation, such as instance.attach-volume. */
  kind: string;
  /** False: it is so already. */
  isNew: boolean;
  /** Columns of the instance itself. */
  set?: { root_disk_limits: string | null };
  /** Of the event. */
  data?: Record<string, unknown>;
};

/** @param write gets the generation that the change belongs to */
export async function changeDevices(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  ifMatch: number | undefined,
  write: (tx: Tx, row: InstanceRow, generation: number) => Promise<DeviceChange>,
): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
    const row = await requireInstance(tx, access, id);
    if (ifMatch !== undefined && ifMatch !== row.generation) throw changedMeanwhile(row);
    const { kind, isNew, set = {}, data } = await write(tx, row, row.generation + 1);
    const operationId = isNew
      ? await amendInstance(tx, access, row, { kind, set, ...(data && { data }) })
      : await joinOperation(tx, access, row, kind, deps.clock.now());
    return { instance: toInstance((await findInstance(tx, id))!), operationId };
  });
}

// Whether a pool has room for more. Held until the end of the transaction where much is promised at the same time, so that
// together it is not more than may be.
import type { PoolId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';
import { refusePromise } from '../pools/pool.ts';
import { allocatedBytes } from '../pools/pool-store.ts';

/** @throws StorageFull */
export async function requirePoolRoom(
  tx: Tx,
  id: PoolId,
  wanted: { addBytes: number; takenBytes: number },
  field: string,
): Promise<void> {
  const pool = await tx
    .selectFrom('pools')
    .select(['name', 'capacity_bytes', 'free_bytes', 'overcommit'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  let allocated = 0;
  if (pool.overcommit !== null) {
    await tx.selectFrom('pools').select('id').where('id', '=', id).forUpdate().execute();
    allocated = (await allocatedBytes(tx, [id])).get(id) ?? 0;
  }
  refusePromise(pool, { allocatedBytes: allocated, ...wanted }, field);
}

// Writes down that an instance is to be given back. The reconciler has its host do it; then the row goes, and what the
// domain still has of ours is kept by released-instances.ts.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { Tx } from '../../store/database.ts';
import { joinOperation } from './instance-change.ts';
import { change } from './instance-operations.ts';
import type { InstanceRow } from './instance-store.ts';
import { refuseSnapshots } from './kept-snapshots.ts';
import { refuseRootMoving } from './root-disk-moves.ts';
import { cephPoolOf } from './root-pool.ts';

/**
 * Gives an instance back: its domain runs on, with its disks where they are, and its addresses stay reserved.
 * @throws Conflict it is being launched or deleted
 */
export async function releaseInstance(
  deps: Deps,
  access: ProjectAccess<'admin'>,
  id: InstanceId,
  ifMatch?: number,
): Promise<{ instance: Instance; operationId: OperationId }> {
  return change(deps, access, id, ifMatch, async (tx, row) => {
    if (row.desired === 'deleted' && row.released && !row.failure) {
      return joinOperation(tx, access, row, 'instance.release', deps.clock.now());
    }
    if (row.desired === 'deleted' && !row.released)
      throw refused(row.name, 'is being deleted', 'Nothing: it is too late.');
    if (row.converged_generation === 0) {
      throw refused(row.name, 'is not yet what was asked for', 'Wait until its launch or adoption has ended.');
    }
    if (row.volumes.length > 0) {
      const names = row.volumes.map(({ name }) => name).join(', ');
      throw refused(row.name, `has volumes attached (${names})`, 'Detach them first: virga detach INSTANCE VOLUME.');
    }
    refuseRootMoving(row);
    await refuseCephRoot(tx, row);
    // Who looks after the domain then would not know of them.
    await refuseSnapshots(tx, row, 'it cannot be released');
    return { kind: 'instance.release', set: { desired: 'deleted', released: true } };
  });
}

async function refuseCephRoot(tx: Tx, { name, root_pool_id: poolId }: InstanceRow): Promise<void> {
  const pool = await cephPoolOf(tx, poolId);
  if (pool === undefined) return;
  throw new VirgaError('Conflict', {
    detail: `The root disk of instance ${name} lies in the Ceph pool ${pool.name}, whose key libvirt has from Virga alone, so it cannot be released.`,
    action: 'Leave it with Virga, or move its root disk to a pool that is a folder: virga disks move.',
  });
}

const refused = (name: string, why: string, action: string) =>
  new VirgaError('Conflict', { detail: `Instance ${name} ${why}, so it cannot be released.`, action });

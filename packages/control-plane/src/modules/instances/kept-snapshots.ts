// Snapshots of an instance that must outlive it, which they cannot: then it is not deleted. They belong to a module that
// comes later; here they are only read.
import { VirgaError } from '@virga/contract/errors';
import type { Tx } from '../../store/database.ts';
import { volumesMadeOf } from '../volumes/snapshot-origin.ts';
import type { InstanceRow } from './instance-store.ts';

/** @throws InUse disks of other instances rest on it, or volumes are being made of it | Conflict it has protected snapshots */
export async function refuseKept(tx: Tx, { id, name }: Pick<InstanceRow, 'id' | 'name'>): Promise<void> {
  await refuseClones(tx, { id, name });
  const [copy] = await volumesMadeOf(tx, { instanceId: id });
  if (copy !== undefined) {
    throw new VirgaError('InUse', {
      detail: `The volume ${copy} is being made from a snapshot of instance ${name}.`,
      action: 'Wait until it is there, or delete it.',
    });
  }
  const [kept] = await snapshotsOf(tx, id).where('is_protected', '=', true).execute();
  if (kept === undefined) return;
  throw new VirgaError('Conflict', {
    detail: `Instance ${name} has the protected snapshot ${kept.name}, which would be deleted with it.`,
    action: `Take the protection away first: virga snapshots protect ${kept.name} --off`,
  });
}

/** @param impossible such as "it cannot be released" @throws Conflict it has snapshots | InUse clones rest on it */
export async function refuseSnapshots(
  tx: Tx,
  { id, name }: Pick<InstanceRow, 'id' | 'name'>,
  impossible: string,
): Promise<void> {
  const [one] = await snapshotsOf(tx, id).execute();
  if (one === undefined) return;
  if (one.purpose === 'clone') {
    await refuseClones(tx, { id, name });
    throw new VirgaError('Conflict', {
      detail: `Instance ${name} is being cloned, or what that needed is being removed, so ${impossible}.`,
      action: 'Wait a moment, and ask again.',
    });
  }
  throw new VirgaError('Conflict', {
    detail: `Instance ${name} has snapshots, such as ${one.name}, so ${impossible}.`,
    action: `Delete them first: virga snapshots list --instance ${name}`,
  });
}

/** @throws InUse disks of other instances rest on it */
async function refuseClones(tx: Tx, { id, name }: Pick<InstanceRow, 'id' | 'name'>): Promise<void> {
  const clones = await tx
    .selectFrom('linked_clones as c')
    .innerJoin('snapshots as s', 's.id', 'c.snapshot_id')
    .innerJoin('instances as i', 'i.id', 'c.instance_id')
    .select('i.name')
    .where('s.instance_id', '=', id)
    .orderBy('i.name')
    .execute();
  if (clones.length === 0) return;
  const names = clones.map((clone) => clone.name).join(', ');
  throw new VirgaError('InUse', {
    detail: `Disks of other instances rest on instance ${name}: those of ${names}.`,
    action: `Delete those first; a clone that needs nothing else is made with virga clone --full.`,
  });
}

/** First those that somebody asked for. */
const snapshotsOf = (tx: Tx, id: InstanceRow['id']) =>
  tx
    .selectFrom('snapshots')
    .select(['name', 'purpose'])
    .where('instance_id', '=', id)
    .orderBy('purpose', 'desc')
    .orderBy('created_at');

// What stands in the way of moving a volume, as far as the database knows; the host looks again. Reads only.
import { VirgaError } from '@virga/contract/errors';
import { sql } from 'kysely';
import type { Tx } from '../../store/database.ts';
import { beingDeleted, refuseMoving } from './volume-refusals.ts';
import type { VolumeView } from './volume-store.ts';

/** @param row of the volume, held @throws Conflict */
export async function refuseHindrances(tx: Tx, row: VolumeView): Promise<void> {
  const { name, attachment } = row;
  if (row.desired === 'deleted') throw beingDeleted(row);
  refuseMoving(row);
  if (row.failure !== null) throw conflict(row.failure.detail, row.failure.action);
  if (row.converged_generation !== row.generation) {
    throw conflict(`Volume ${name} is still being made or changed.`, 'Wait until that has ended.');
  }
  const snapshot = await tx
    .selectFrom('snapshots')
    .select('name')
    .where((where) =>
      where.or([
        sql<boolean>`disks @> ${JSON.stringify([{ id: row.id }])}::jsonb`,
        // It is not known yet which disks it has.
        ...(attachment
          ? [where.and([where('instance_id', '=', attachment.instanceId), where('state', '=', 'creating')])]
          : []),
      ]),
    )
    .limit(1)
    .executeTakeFirst();
  if (snapshot) {
    const action = `Delete it first: virga snapshots delete ${snapshot.name}`;
    throw conflict(`The snapshot ${snapshot.name} rests on the volume ${name}.`, action);
  }
  if (attachment === null) return;
  const { instanceId, instanceName } = attachment;
  const holder = await tx
    .selectFrom('instances')
    .innerJoin('volume_attachments as a', 'a.instance_id', 'instances.id')
    .select(['instances.state', 'instances.desired', 'a.detaching'])
    .where('a.volume_id', '=', row.id)
    .executeTakeFirst();
  if (holder?.desired === 'deleted') {
    throw conflict(
      `Instance ${instanceName}, which has the volume ${name}, is being deleted.`,
      'Wait until it is gone.',
    );
  }
  if (holder?.state === 'hibernated' || holder?.state === 'hibernating') {
    throw conflict(
      `Instance ${instanceName}, which has the volume ${name}, is ${holder.state}.`,
      `Wake it first: virga start ${instanceName}`,
    );
  }
  if (holder?.detaching) {
    throw conflict(`Instance ${instanceName} is letting go of the volume ${name}.`, 'Wait until that has ended.');
  }
  const backup = await tx
    .selectFrom('backups')
    .select('id')
    .where('instance_id', '=', instanceId)
    .where('state', '=', 'pending')
    .limit(1)
    .executeTakeFirst();
  if (backup) {
    throw conflict(`A backup of instance ${instanceName} is being made.`, 'Wait until it has ended.');
  }
}

const conflict = (detail: string, action: string) => new VirgaError('Conflict', { detail, action });

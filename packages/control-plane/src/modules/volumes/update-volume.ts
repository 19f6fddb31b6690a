// Gives a volume another name, and protects it from being deleted. Its host is told of the name, which it keeps with it.
import { VirgaError } from '@virga/contract/errors';
import type { OperationId, VolumeId } from '@virga/contract/ids';
import type { UpdateVolume, Volume } from '@virga/contract/rest/volumes';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, inTransaction } from '../../store/database.ts';
import { createOperation, endOperation } from '../operations/operation-store.ts';
import { volumeNameTaken } from './create-volume.ts';
import { beingDeleted, refuseChanged, refuseMoving } from './volume-refusals.ts';
import { findVolume, holdVolume, resourceOf, toVolume, wakeVolume } from './volume-store.ts';

/** @throws NotFound | NameTaken | Conflict it is being deleted | InvalidArgument nothing was given | PreconditionFailed */
export async function updateVolume(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: VolumeId,
  { name, deletionProtection }: UpdateVolume,
  ifMatch?: number,
): Promise<{ volume: Volume; operationId: OperationId }> {
  if (name === undefined && deletionProtection === undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: 'Nothing to set was given.',
      action: 'Give a name, or whether it is protected from being deleted.',
    });
  }
  try {
    return await inTransaction(deps.db, async (tx) => {
      const row = await holdVolume(tx, access, id);
      refuseChanged(row, ifMatch);
      if (row.desired === 'deleted') throw beingDeleted(row);
      refuseMoving(row);
      const wanted = { name: name ?? row.name, delete_protection: deletionProtection ?? row.delete_protection };
      const isThere = wanted.name === row.name && wanted.delete_protection === row.delete_protection;
      const generation = isThere ? row.generation : row.generation + 1;
      const operationId = await createOperation(tx, access, { kind: 'volume.update', ...resourceOf(row), generation });
      if (isThere) {
        await endOperation(tx, access, operationId, {}, deps.clock.now());
        return { volume: toVolume(row), operationId };
      }
      await tx
        .updateTable('volumes')
        .set({ ...wanted, generation })
        .where('id', '=', id)
        .execute();
      await appendEvent(tx, access, {
        type: 'volume.update-requested',
        ...resourceOf(row),
        message:
          wanted.name === row.name
            ? `Volume ${row.name} is ${wanted.delete_protection ? 'protected' : 'no longer protected'} from being deleted.`
            : `Volume ${row.name} is to be called ${wanted.name}.`,
        data: { name: wanted.name, deletionProtection: wanted.delete_protection },
      });
      await wakeVolume(tx, id);
      return { volume: toVolume((await findVolume(tx, id))!), operationId };
    });
  } catch (error) {
    if (brokenConstraint(error) === 'volumes_name_taken') throw volumeNameTaken(name ?? '');
    throw error;
  }
}

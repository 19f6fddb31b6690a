// What fronts call to let instances stand still, go on, hibernate, and to press their reset button. As every change, each is
// one transaction and answers at once.
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { Tx } from '../../store/database.ts';
import { conditionOf } from './instance.ts';
import { type InstanceChange, joinOperation, type Requester } from './instance-change.ts';
import { type Changed, change, newReboot, refused } from './instance-operations.ts';
import type { InstanceRow } from './instance-store.ts';
import { goalOf, transition, type Verb } from './instance-transition.ts';
import { refuseDisksMoving } from './root-disk-moves.ts';

/** The guest stands still, its memory stays on the host. @throws Conflict it is not on */
export const suspendInstance = (
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  ifMatch?: number,
): Promise<Changed> => changePower(deps, access, id, 'suspend', ifMatch);

/** A guest that stands still goes on, also one whom the host stopped for want of room. @throws Conflict it is not on */
export const resumeInstance = (
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  ifMatch?: number,
): Promise<Changed> => changePower(deps, access, id, 'resume', ifMatch);

/**
 * Saves the memory of the guest to the disk of its host, and ends it; a start goes on from there. Its room on the host is
 * free meanwhile. When the memory cannot be saved the guest goes on, and the operation has failed.
 * @throws Conflict it is not on
 */
export const hibernateInstance = (
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  ifMatch?: number,
): Promise<Changed> => changePower(deps, access, id, 'hibernate', ifMatch);

export type PowerVerb = Extract<Verb, 'suspend' | 'resume' | 'hibernate'>;

function changePower(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  verb: PowerVerb,
  ifMatch?: number,
): Promise<Changed> {
  return change(deps, access, id, ifMatch, (tx, row) => decidePower(deps, tx, access, row, verb));
}

/** What such a verb comes to, as {@link decideStart}. */
export async function decidePower(
  deps: Pick<Deps, 'clock'>,
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  verb: PowerVerb,
): Promise<InstanceChange | OperationId> {
  const kind = `instance.${verb}`;
  const todo = transition(verb, conditionOf(row));
  if (todo === 'refuse') throw refused(verb, row);
  if (todo !== 'change') return joinOperation(tx, access, row, kind, deps.clock.now());
  // Its memory would know the disk where it was.
  if (verb === 'hibernate') await refuseDisksMoving(tx, row);
  return { kind, set: { desired: goalOf[verb] } };
}

/** Presses the reset button: the guest is not asked. @throws Conflict it does not run */
export async function resetInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  ifMatch?: number,
): Promise<Changed> {
  return change(deps, access, id, ifMatch, async (_tx, row) => {
    if (transition('reset', conditionOf(row)) === 'refuse') throw refused('reset', row);
    return { kind: 'instance.reset', set: { reboot: newReboot(row, 'reset', '') } };
  });
}

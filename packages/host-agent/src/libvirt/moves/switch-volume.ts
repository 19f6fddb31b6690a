// The moment at which the new place of a volume begins to count, and what follows from it.
import type { DesiredMove } from '@virga/contract/agent/moves';
import { isHibernated, noSuchMove } from '../../move-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { hostBootId } from '../host/boot-id.ts';
import { isOff } from '../instances/power.ts';
import { liveDisk, pivot } from './mirror.ts';
import { defineAnew } from './move-definition.ts';
import { forGood, withLocks } from './move-locks.ts';
import { newPlace, oldPlace } from './move-places.ts';
import { type MoveRecord, writeMove } from './move-record.ts';
import { holderOf, settleMove } from './settle-move.ts';

export async function switchVolume(context: AgentContext, move: DesiredMove): Promise<boolean> {
  const { id } = move.volume;
  return withLocks(context, move.holder, id, async () => {
    let record = await settleMove(context, id);
    if (record?.token !== move.token) throw noSuchMove(move.volume);
    if (record.phase !== 'switched') {
      if (!(await letCount(context, record))) return false;
      record = (await settleMove(context, id))!;
    }
    if (record.phase !== 'switched') return false;
    await forGood(() => defineAnew(context, record));
    return true;
  });
}

/** The moment itself. @returns false: the copy is not whole */
async function letCount(context: AgentContext, record: MoveRecord): Promise<boolean> {
  const { storage, hook } = context;
  const { id } = record.before;
  const domain = await holderOf(context, record.holder);
  const disk = domain && (await liveDisk(context, domain.ref, id));
  const [old, fresh] = await Promise.all([oldPlace(storage, record), newPlace(storage, record)]);
  if (domain !== undefined && disk !== undefined) {
    if (disk.mirror?.name !== fresh.name || !disk.mirror.isReady) return false;
    await hook('move-mark', id);
    await Promise.all([old.mark(), fresh.mark()]);
    await hook('move-pivot', id);
    await writeMove(storage, { ...record, phase: 'pivoting', bootId: hostBootId() });
    await hook('move-pivoting', id);
    await forGood(() => pivot(context, domain.ref, disk.target));
    await hook('move-pivoted', id);
    return true;
  }
  if (domain !== undefined && !isOff(domain)) return false;
  if (domain?.hasSavedMemory) throw isHibernated(domain.ref.name);
  if (record.copied === undefined || !(await old.isAsMarked(record.copied))) return false;
  await hook('move-switch', id);
  await writeMove(storage, { ...record, phase: 'switched' });
  return true;
}

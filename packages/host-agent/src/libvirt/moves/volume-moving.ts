// Moves volumes and root disks between pools: copy, switch, finish, or take back. What counts meanwhile is decided in
// settle-move.ts. Nothing but the moments at which a place begins or ceases to count holds a lock: guests are started and stopped
// while their disks are copied.
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { MoveIdentity, ObservedMove, VolumeMoving } from '@virga/contract/agent/moves';
import type { VolumeId } from '@virga/contract/ids';
import { flushFolder } from '../../durable-file.ts';
import { movedAlready, noSuchMove } from '../../move-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import type { PoolDriver } from '../pools/pool-driver.ts';
import type { Storage } from '../storage.ts';
import { volumeFolder } from '../volumes/volume-folder.ts';
import { copyVolume } from './copy-volume.ts';
import { abortMirror } from './mirror.ts';
import { defineAnew } from './move-definition.ts';
import { forGood, withLocks } from './move-locks.ts';
import { driverFor } from './move-places.ts';
import { forgetMove, knownMoves, type MoveRecord, readMove } from './move-record.ts';
import { removeOldRoot } from './moved-root.ts';
import { holderOf, oldFolder, settleMove } from './settle-move.ts';
import { switchVolume } from './switch-volume.ts';

export function volumeMoving(context: AgentContext): VolumeMoving {
  return {
    copyVolume: (move, call = {}) => copyVolume(context, move, call),
    switchVolume: (move) => switchVolume(context, move),
    finishMove: (move, call = {}) => finishMove(context, move, call),
    cancelMove: (move) => cancelMove(context, move),
    listMoves: (cloudId) => listMoves(context, cloudId),
  };
}

async function finishMove(
  context: AgentContext,
  { token, volumeId: id, cloudId, wipe }: Parameters<VolumeMoving['finishMove']>[0],
  { signal, onProgress }: CallContext,
): Promise<void> {
  const { storage, hook } = context;
  const known = await readMove(storage, id);
  if (known === undefined) return;
  await withLocks(context, known.holder, id, async () => {
    const record = await settleMove(context, id);
    if (record?.token !== token || record.before.cloudId !== cloudId) return;
    if (record.phase !== 'switched') throw noSuchMove(record.before);
    await forGood(async () => {
      await defineAnew(context, record);
      const old = await driverFor(storage, record.before);
      await old.require();
      const folder = oldFolder(context, record);
      // Never what counts, whatever has been written down.
      const counts = record.before.isRoot ? record.to : volumeFolder(storage, id);
      if (folder !== '' && [record.to, counts].includes(folder)) throw noSuchMove(record.before);
      if (wipe === 'zero') {
        await hook('move-wipe', id);
        const told = (percent: number) => onProgress?.('overwriting the old place', percent);
        await wipeIfThere(old, folder, id, { signal, onProgress: told });
      }
      await hook('move-remove', id);
      await old.removeDisk(id);
      if (record.before.isRoot) await removeOldRoot(storage, record);
      else await removeFolder(folder);
      await hook('move-end', id);
      await (await driverFor(storage, record.after)).forgetMark(id);
      await forgetMove(storage, id);
    });
  });
}

async function wipeIfThere(old: PoolDriver, folder: string, id: VolumeId, work: Parameters<PoolDriver['wipe']>[2]) {
  try {
    await old.wipe(folder, id, work);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

async function cancelMove(context: AgentContext, { token, volumeId: id, cloudId }: MoveIdentity): Promise<void> {
  const { storage, hook } = context;
  const known = await readMove(storage, id);
  if (known === undefined) return;
  await withLocks(context, known.holder, id, async () => {
    const record = await settleMove(context, id);
    if (record?.token !== token || record.before.cloudId !== cloudId) return;
    if (record.phase === 'switched') throw movedAlready(record.before);
    const domain = await holderOf(context, record.holder);
    await hook('move-abort', id);
    if (domain !== undefined) await abortMirror(context, domain.ref, id);
    await hook('move-forget', id);
    await dropNewPlace(storage, record);
    await forgetMove(storage, id);
  });
}

/** Of a move whose old place counts. */
export async function dropNewPlace(storage: Storage, { before, after, to }: MoveRecord): Promise<void> {
  await (await driverFor(storage, before)).forgetMark(before.id);
  await (await driverFor(storage, after)).removeDisk(after.id);
  if (to !== '') await rm(to, { recursive: true, force: true });
}

async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await flushFolder(dirname(folder));
}

async function listMoves({ storage }: AgentContext, cloudId: string): Promise<ObservedMove[]> {
  const records = (await knownMoves(storage)).filter(({ before }) => before.cloudId === cloudId);
  return records.map(({ token, before, phase }) => ({
    ...{ token, volumeId: before.id, cloudId },
    isSwitched: phase === 'switched',
  }));
}

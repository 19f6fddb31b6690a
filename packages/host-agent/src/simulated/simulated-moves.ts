// Moves of volumes and root disks on a simulated host: the steps, refusals and progress of a real one; no volume has any content. A copy is
// whole for the guest that ran, or did not, while it was made.
import type { DesiredMove, MoveIdentity, VolumeMoving } from '@virga/contract/agent/moves';
import { VirgaError } from '@virga/contract/errors';
import type { KeyedLock } from '../keyed-lock.ts';
import { placedRoot } from '../libvirt/instances/instance-folder.ts';
import { recordOfVolume } from '../libvirt/volumes/volume-record.ts';
import {
  beingMoved,
  hasSnapshots,
  isHibernated,
  movedAlready,
  noSuchMove,
  rootNotThere,
  sameCephPool,
  samePool,
} from '../move-conflicts.ts';
import { volumeNotOurs, volumeOvertaken } from '../volume-conflicts.ts';
import type { CallSteps, Calls } from './call-steps.ts';
import type { StoredDomain, StoredMove, StoredVolume } from './host-records.ts';
import { nameOf } from './host-records.ts';
import { requireSpace } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { openSimulatedPool } from './simulated-pools.ts';

const copySteps = 4;

export function simulatedMoving(host: SimulatedHost, calls: Calls, locks: KeyedLock): VolumeMoving {
  const { moves, volumes } = host.store;
  const act = <T>(
    method: string,
    { id, context }: { id: string; context: Parameters<Calls['run']>[2] },
    work: (steps: CallSteps) => T | Promise<T>,
  ) => locks.run(`move ${id}`, () => calls.run(method, id, context, work));
  return {
    copyVolume: (move, context) =>
      act('copyVolume', { id: move.volume.id, context }, (steps) => copyVolume(host, move, steps)),
    switchVolume: (move, context) =>
      act('switchVolume', { id: move.volume.id, context }, async (steps) => {
        const record = moves.get(move.volume.id);
        if (record?.token !== move.token) throw noSuchMove(move.volume);
        if (record.isSwitched) return true;
        if (record.copiedAs === undefined || record.copiedAs !== lifeOf(holderOf(host, move))) return false;
        await steps.take('move-switch', 90, 0, () => {
          if (record.before.isRoot) placeRoot(host, record);
          else volumes.set(move.volume.id, record.after);
          moves.set(move.volume.id, { ...record, isSwitched: true });
        });
        return true;
      }),
    finishMove: ({ token, volumeId, cloudId }, context) =>
      act('finishMove', { id: volumeId, context }, async (steps) => {
        const record = moves.get(volumeId);
        if (record?.token !== token || record.before.cloudId !== cloudId) return;
        if (!record.isSwitched) throw noSuchMove(record.before);
        await steps.take('move-remove', 95, 0, () => moves.delete(volumeId));
      }),
    cancelMove: ({ token, volumeId, cloudId }: MoveIdentity, context) =>
      act('cancelMove', { id: volumeId, context }, async (steps) => {
        const record = moves.get(volumeId);
        if (record?.token !== token || record.before.cloudId !== cloudId) return;
        if (record.isSwitched) throw movedAlready(record.before);
        await steps.take('move-abort', 50, 0, () => moves.delete(volumeId));
      }),
    listMoves: (cloudId, context) =>
      calls.run('listMoves', 'host', context, () =>
        moves
          .all()
          .filter(({ before }) => before.cloudId === cloudId)
          .map(({ token, before, isSwitched }) => ({ token, volumeId: before.id, cloudId, isSwitched })),
      ),
  };
}

async function copyVolume(host: SimulatedHost, move: DesiredMove, steps: CallSteps): Promise<void> {
  const { moves } = host.store;
  const { id } = move.volume;
  const record = moves.get(id) ?? (await begin(host, move, steps));
  if (record.token !== move.token) throw beingMoved(record.before);
  if (record.isSwitched || record.copiedAs === lifeOf(holderOf(host, move))) return;
  for (;;) {
    const life = lifeOf(holderOf(host, move));
    for (let step = 0; step < copySteps; step++) {
      const percent = (100 * step) / copySteps;
      await steps.take('move-copy', percent, steps.timings.rootDiskMs / copySteps, () => undefined);
    }
    if (life !== lifeOf(holderOf(host, move))) continue;
    return moves.set(id, { ...record, copiedAs: life });
  }
}

async function begin(host: SimulatedHost, move: DesiredMove, steps: CallSteps): Promise<StoredMove> {
  const { volume } = move;
  const before = move.isRoot ? presentRoot(host, move) : host.store.volumes.get(volume.id);
  if (before === undefined) throw notThere(volume.id);
  if (before.cloudId !== volume.cloudId) throw volumeNotOurs(volume.id);
  if (before.generation >= volume.generation) throw volumeOvertaken(before.generation, volume);
  if (before.poolId === volume.pool?.id) throw samePool(before);
  const old = before.poolId && host.store.pools.get(before.poolId);
  if (old && cephPoolOf(old) !== undefined && cephPoolOf(old) === cephPoolOf(volume.pool)) throw sameCephPool(before);
  if (volume.pool) openSimulatedPool(host, volume.pool);
  const holder = holderOf(host, move);
  if (holder?.savedMemory !== undefined) throw isHibernated(nameOf(holder));
  const rests = host.store.snapshots.all().some(({ disks }) => disks.some(({ id }) => id === volume.id));
  if (rests) throw hasSnapshots(before);
  const { source, ...record } = recordOfVolume(volume);
  const fileBytes = before.fileBytes ?? 0;
  if (!volume.pool) requireSpace(host, fileBytes);
  const after: StoredVolume = {
    ...record,
    sizeBytes: before.sizeBytes,
    fileBytes,
    ...(source && { source: { ...source, clone: 'full' } }),
  };
  const begun: StoredMove = {
    ...{ token: move.token, before, after, isSwitched: false },
    ...(move.isRoot && { holder: move.holder?.id }),
  };
  await steps.take('move-record', 1, 0, () => host.store.moves.set(volume.id, begun));
  return begun;
}

/** @throws NotFound */
function presentRoot(host: SimulatedHost, { volume, holder }: DesiredMove): StoredMove['before'] {
  const folder = holder && host.store.folders.get(holder.id);
  const desired = holder && host.domain(holder.id)?.record.desired;
  if (!folder || !desired || desired.origin === 'adopted' || folder.rootDiskBytes === null) throw rootNotThere(volume);
  const { owner, rootDiskBytes, diskSizeBytes } = folder;
  const poolId = owner.moved ? owner.moved.poolId : (owner.ceph?.poolId ?? desired.rootDisk.pool);
  return {
    ...{ id: volume.id, cloudId: owner.cloudId, name: volume.name, isRoot: true, keepsake: {} },
    ...{ generation: owner.moved?.generation ?? 0, sizeBytes: diskSizeBytes ?? desired.rootDisk.sizeBytes },
    ...(poolId && { poolId }),
    fileBytes: rootDiskBytes,
  };
}

function placeRoot(host: SimulatedHost, { holder, after: { id, poolId, generation } }: StoredMove): void {
  const folder = holder && host.store.folders.get(holder);
  const domain = holder && host.domain(holder);
  if (!folder || !domain) return;
  const { ceph: _, templateId: __, clonedFrom: ___, ...own } = folder.owner;
  const isCeph = poolId !== undefined && host.store.pools.get(poolId)?.place.driver === 'rbd';
  const owner = {
    ...own,
    ...(isCeph && { ceph: { poolId, id } }),
    copied: true as const,
    moved: { ...(poolId && { poolId }), generation },
  };
  host.store.folders.set(holder, { ...folder, owner });
  const { record } = domain;
  const desired = { ...record.desired, rootDisk: placedRoot(record.desired.rootDisk, owner) };
  host.setDomain(holder, { ...domain, record: { ...record, desired } });
}

const holderOf = (host: SimulatedHost, { holder }: DesiredMove): StoredDomain | undefined =>
  holder === null ? undefined : host.domain(holder.id);

const lifeOf = (domain: StoredDomain | undefined): string =>
  domain === undefined || domain.power === 'off' ? 'off' : `on ${domain.boots}`;

const cephPoolOf = (pool: DesiredMove['volume']['pool']): string | undefined =>
  pool?.place.driver === 'rbd' ? pool.place.cephPool : undefined;

const notThere = (id: string) =>
  new VirgaError('NotFound', { detail: `The volume ${id} is not on this host.`, action: 'Bring its storage back.' });

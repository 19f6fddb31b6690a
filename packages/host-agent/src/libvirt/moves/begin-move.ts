// The beginning of a move: all that can stand in its way is looked at before anything is there of it. The caller holds the locks
// of the instance that has the volume, and of the volume.
import { join } from 'node:path';
import type { DesiredMove } from '@virga/contract/agent/moves';
import { VirgaError } from '@virga/contract/errors';
import { beingBackedUp, beingMoved, hasSnapshots, isHibernated, sameCephPool, samePool } from '../../move-conflicts.ts';
import { volumeNotOurs, volumeOvertaken } from '../../volume-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { hasBackup } from '../backups/await-push.ts';
import { dropCheckpoints } from '../backups/checkpoints.ts';
import { readTree } from '../disks/disk-layers.ts';
import { findImage } from '../images/image-store.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { instanceFiles } from '../instances/instance-folder.ts';
import { isOff } from '../instances/power.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import type { PoolDriver } from '../pools/pool-driver.ts';
import { RbdPool } from '../pools/rbd-pool.ts';
import { rbdSnapshotsOf } from '../pools/rbd-snapshots.ts';
import { type Storage, smallestSpaceBytes } from '../storage.ts';
import { findAnywhere, movedInFolder, volumeFile, volumeFolder } from '../volumes/volume-folder.ts';
import { recordOfVolume } from '../volumes/volume-record.ts';
import { driverFor } from './move-places.ts';
import { type MoveRecord, type MovingDisk, writeMove } from './move-record.ts';
import { newRootFolder, presentRoot, sizeOfFiles } from './moved-root.ts';
import { settleMove } from './settle-move.ts';

/** The move as it stands, begun if it has not been. @throws as `copyVolume` says */
export async function beginMove(
  context: AgentContext,
  move: DesiredMove,
  driver: PoolDriver,
  domain: OwnDomain | undefined,
): Promise<MoveRecord> {
  const { storage, hook } = context;
  const { id, cloudId } = move.volume;
  const present = await settleMove(context, id);
  if (present !== undefined) {
    if (present.token !== move.token) throw beingMoved(present.before);
    return present;
  }
  const { before, from, below } = await presentDisk(storage, move, domain);
  if (before.cloudId !== cloudId) throw volumeNotOurs(id);
  const after = afterMove(move, before);
  if (before.generation >= after.generation) throw volumeOvertaken(before.generation, after);
  if (before.poolId === after.poolId) throw samePool(before);
  const old = await driverFor(storage, before);
  if (old instanceof RbdPool && driver instanceof RbdPool && old.cephPool === driver.cephPool)
    throw sameCephPool(before);
  await old.require();
  await driver.require();
  if (domain?.hasSavedMemory) throw isHibernated(domain.ref.name);
  const tree = await readTree(
    before.isRoot ? instanceFiles(storage, move.holder!.id).rootDisk : volumeFile(storage, id),
  );
  if (tree.current.length > 1 || Object.keys(tree.snapshots).length > 0) throw hasSnapshots(before);
  if (old instanceof RbdPool && (await rbdSnapshotsOf(old, id)).length > 0) throw hasSnapshots(before);
  if (domain !== undefined && !isOff(domain) && (await isBackedUp(context, domain))) throw beingBackedUp(before);
  await driver.requireSpace(smallestSpaceBytes + (await neededBytes(old, { before, from, below }, after)));
  const to = newFolder(storage, move, driver, from);
  const record: MoveRecord = { token: move.token, holder: move.holder, before, after, from, to, phase: 'copying' };
  await hook('move-record', id);
  await writeMove(storage, record);
  // What has been recorded of changes is of no use in another place: the next backup is a full one.
  if (domain !== undefined) await dropCheckpoints(context, domain.ref);
  return record;
}

/** What is to be moved, as it is, and what it rests on. */
type Present = { before: MovingDisk; from: string; below: BaseImage | null };

async function presentDisk(storage: Storage, move: DesiredMove, domain: OwnDomain | undefined): Promise<Present> {
  if (move.isRoot) return presentRoot(storage, move, domain);
  const { id } = move.volume;
  const before = await findAnywhere(storage, id);
  if (before === undefined) throw notThere(id);
  const image = before.source?.clone === 'linked' ? await findImage(storage, before.source.imageId) : undefined;
  return { before, from: volumeFolder(storage, id), below: image ?? null };
}

/** A copy rests on nothing. */
function afterMove({ volume, isRoot }: DesiredMove, { sizeBytes }: MovingDisk): MovingDisk {
  const { source, ...record } = recordOfVolume(volume);
  return {
    ...record,
    ...(isRoot && { isRoot }),
    sizeBytes,
    ...(source && { source: { ...source, clone: 'full' } }),
  };
}

function newFolder(
  storage: Storage,
  { isRoot, holder, volume: { id } }: DesiredMove,
  driver: PoolDriver,
  from: string,
) {
  if (isRoot) return newRootFolder(driver, holder);
  return driver.home === storage.volumesPath ? movedInFolder(storage, id, from) : join(driver.home, id);
}

async function neededBytes(old: PoolDriver, { before, from, below }: Present, after: MovingDisk): Promise<number> {
  const takesAll =
    after.preallocation === 'falloc' ||
    after.preallocation === 'full' ||
    // In Ceph what is encrypted is noise where nothing was written.
    (after.encrypted && (after.format === 'raw' || before.format === 'raw'));
  if (takesAll) return before.sizeBytes;
  const used = (await old.usedBytes(from, before.id)) ?? before.sizeBytes;
  return Math.min(before.sizeBytes, used + (await sizeOfFiles(below)));
}

const isBackedUp = ({ hypervisor }: AgentContext, { ref }: OwnDomain): Promise<boolean> =>
  hypervisor.ask(`look for a backup of ${ref.name}`, (connection) => hasBackup(connection, ref));

const notThere = (id: string) =>
  new VirgaError('NotFound', {
    detail: `The volume ${id} is not on this host.`,
    action: 'Bring its storage back, such as by mounting it.',
  });

// The beginning of a move: all that can stand in its way is looked at before anything is there of it. The caller holds the locks
// of the instance that has the volume, and of the volume.
import { stat } from 'node:fs/promises';
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
import { isOff } from '../instances/power.ts';
import { driverOf } from '../pools/drivers.ts';
import type { PoolDriver } from '../pools/pool-driver.ts';
import { RbdPool } from '../pools/rbd-pool.ts';
import { smallestSpaceBytes } from '../storage.ts';
import { findAnywhere, movedInFolder, volumeFile, volumeFolder } from '../volumes/volume-folder.ts';
import { recordOfVolume, type VolumeRecord } from '../volumes/volume-record.ts';
import { type MoveRecord, writeMove } from './move-record.ts';
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
  const before = await findAnywhere(storage, id);
  if (before === undefined) throw notThere(id);
  if (before.cloudId !== cloudId) throw volumeNotOurs(id);
  const after = afterMove(move, before);
  if (before.generation >= after.generation) throw volumeOvertaken(before.generation, after);
  if (before.poolId === after.poolId) throw samePool(before);
  const old = await driverOf(storage, before.poolId);
  if (old instanceof RbdPool && driver instanceof RbdPool && old.cephPool === driver.cephPool)
    throw sameCephPool(before);
  await old.require();
  await driver.require();
  if (domain?.hasSavedMemory) throw isHibernated(domain.ref.name);
  const tree = await readTree(volumeFile(storage, id));
  if (tree.current.length > 1 || Object.keys(tree.snapshots).length > 0) throw hasSnapshots(before);
  if (domain !== undefined && !isOff(domain) && (await isBackedUp(context, domain))) throw beingBackedUp(before);
  await driver.requireSpace(smallestSpaceBytes + (await neededBytes(context, old, before, after)));
  const from = volumeFolder(storage, id);
  const to = driver.home === storage.volumesPath ? movedInFolder(storage, id, from) : join(driver.home, id);
  const record: MoveRecord = { token: move.token, holder: move.holder, before, after, from, to, phase: 'copying' };
  await hook('move-record', id);
  await writeMove(storage, record);
  // What has been recorded of changes is of no use in another place: the next backup is a full one.
  if (domain !== undefined) await dropCheckpoints(context, domain.ref);
  return record;
}

/** A copy rests on nothing. */
function afterMove({ volume }: DesiredMove, { sizeBytes }: VolumeRecord): VolumeRecord {
  const { source, ...record } = recordOfVolume(volume);
  return { ...record, sizeBytes, ...(source && { source: { ...source, clone: 'full' } }) };
}

async function neededBytes(
  { storage }: AgentContext,
  old: PoolDriver,
  before: VolumeRecord,
  after: VolumeRecord,
): Promise<number> {
  const takesAll =
    after.preallocation === 'falloc' ||
    after.preallocation === 'full' ||
    // In Ceph what is encrypted is noise where nothing was written.
    (after.encrypted && (after.format === 'raw' || before.format === 'raw'));
  if (takesAll) return before.sizeBytes;
  const used = (await old.usedBytes(volumeFolder(storage, before.id), before.id)) ?? before.sizeBytes;
  const image = before.source?.clone === 'linked' ? await findImage(storage, before.source.imageId) : undefined;
  const below = image === undefined ? 0 : (await stat(image.path)).size;
  return Math.min(before.sizeBytes, used + below);
}

const isBackedUp = ({ hypervisor }: AgentContext, { ref }: OwnDomain): Promise<boolean> =>
  hypervisor.ask(`look for a backup of ${ref.name}`, (connection) => hasBackup(connection, ref));

const notThere = (id: string) =>
  new VirgaError('NotFound', {
    detail: `The volume ${id} is not on this host.`,
    action: 'Bring its storage back, such as by mounting it.',
  });

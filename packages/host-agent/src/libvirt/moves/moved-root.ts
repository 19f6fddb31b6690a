// Root disks that move: where one lies before and after, and what says so. The folder of the instance stays where it is, with
// seed, UEFI variables and console log; a link in it leads to the folder of the disk in its pool, and the owner of the folder
// says which pool that is. A copy rests on nothing, so what it rested on before may go.
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DesiredMove } from '@virga/contract/agent/moves';
import { flushFolder } from '../../durable-file.ts';
import { rootNotThere } from '../../move-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import type { DiskSource } from '../disks/disk-source.ts';
import { isLayerName } from '../disks/layer-names.ts';
import { rootBase } from '../disks/root-base.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { folderPath, instanceFiles, pointRoot, readOwner, rewriteOwner } from '../instances/instance-folder.ts';
import { writeRecord } from '../instances/power.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import type { PoolDriver } from '../pools/pool-driver.ts';
import { RbdPool } from '../pools/rbd-pool.ts';
import { markCephRoot, unmarkCephRoot } from '../pools/rbd-root-disk.ts';
import type { Storage } from '../storage.ts';
import { driverFor } from './move-places.ts';
import type { MoveRecord, MovingDisk } from './move-record.ts';

/** A root disk as it is now, and what it takes beside its own files. @throws NotFound | PoolUnusable */
export async function presentRoot(
  storage: Storage,
  { volume }: DesiredMove,
  domain: OwnDomain | undefined,
): Promise<{ before: MovingDisk; from: string; below: BaseImage | null }> {
  const desired = domain?.record.desired;
  const owner = desired && (await readOwner(storage, desired.id));
  const isLaunched = owner !== undefined && desired?.origin === 'launched' && !owner.released;
  if (!isLaunched || owner.cloudId !== volume.cloudId) throw rootNotThere(volume);
  const { id, cloudId, name } = volume;
  const poolId = owner.ceph?.poolId ?? (owner.moved ? owner.moved.poolId : desired.rootDisk.pool);
  const before: MovingDisk = {
    ...{ id, cloudId, name, isRoot: true, generation: owner.moved?.generation ?? 0, sizeBytes: 0, keepsake: {} },
    ...(poolId && { poolId }),
    ...(owner.ceph && { format: 'raw' }),
  };
  const from = owner.ceph ? '' : dirname(instanceFiles(storage, desired.id).rootDisk);
  const driver = await driverFor(storage, before);
  await driver.require();
  const sizeBytes = await driver.sizeOf(from, id);
  if (sizeBytes === undefined) throw rootNotThere(volume);
  return { before: { ...before, sizeBytes }, from, below: await rootBase(storage, desired, owner) };
}

/** Where it is to be, which is never where it has been. */
export const newRootFolder = (driver: PoolDriver, holder: MoveRecord['holder']): string =>
  driver instanceof RbdPool ? '' : join(driver.home, holder!.id);

export async function sizeOfFiles(base: BaseImage | null | undefined): Promise<number> {
  if (!base) return 0;
  return (await stat(base.path)).size + (await sizeOfFiles(base.base));
}

/** Says that the new place counts. May be done again; at no moment there is no disk. */
export async function placeRoot({ storage, hook }: AgentContext, { holder, after, to }: MoveRecord): Promise<void> {
  const { id } = holder!;
  const folder = folderPath(storage, id);
  const owner = await readOwner(storage, id);
  if (owner === undefined || owner.moved?.generation === after.generation) return;
  const { ceph: _, templateId: __, clonedFrom: ___, ...own } = owner;
  const { poolId, generation } = after;
  await hook('move-name', after.id);
  if (to === '') await markCephRoot(folder);
  else await pointRoot(storage, id, to);
  await hook('move-owner', after.id);
  await rewriteOwner(storage, {
    ...own,
    ...(to === '' && { ceph: { poolId: poolId!, id: after.id } }),
    copied: true,
    moved: { ...(poolId && { poolId }), generation },
  });
}

/** As QEMU opens it from now on. */
export const movedRootSource = async (storage: Storage, { after, to }: MoveRecord): Promise<DiskSource> =>
  (await driverFor(storage, after)).source(
    to,
    { id: after.id, format: after.format ?? 'qcow2', encrypted: false },
    undefined,
  );

/** What the domain says of itself names the pool too: from that a lost database is rebuilt. */
export async function describeAnew(
  context: AgentContext,
  { ref, record }: OwnDomain,
  { poolId }: MovingDisk,
): Promise<void> {
  const { pool: before, ...rootDisk } = record.desired.rootDisk;
  if (before === poolId) return;
  const now = { ...rootDisk, clone: 'full' as const, ...(poolId && { pool: poolId }) };
  await writeRecord(context, { ...record.desired, rootDisk: now }, ref, record.rebootToken);
}

/** All that is left of the disk in its old place; the folder of its instance stays. */
export async function removeOldRoot(storage: Storage, { holder, from, to }: MoveRecord): Promise<void> {
  const folder = folderPath(storage, holder!.id);
  if (to !== '') await unmarkCephRoot(folder);
  else await pointRoot(storage, holder!.id, undefined);
  if (from === '') return;
  if (from !== folder) {
    await rm(from, { recursive: true, force: true });
    return flushFolder(dirname(from));
  }
  const first = basename(instanceFiles(storage, holder!.id).rootDisk);
  const names = (await readdir(from)).filter((name) => isLayerName(name) || name.startsWith(`${first}.`));
  for (const name of names) await rm(join(from, name), { force: true });
  await flushFolder(from);
}

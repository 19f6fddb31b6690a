// Pools of this host: opened, looked at, forgotten. What is in a pool stays when it is forgotten. A pool that several hosts
// see has a mark, by which each of them knows that it is the same.
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import type { DesiredPool, ObservedPool, PoolAbilities, PoolKeeping } from '@virga/contract/agent/pools';
import { VirgaError } from '@virga/contract/errors';
import type { PoolId } from '@virga/contract/ids';
import { runCommand } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';
import { otherOwner } from '../host/guest-owner.ts';
import { listVolumes } from '../volumes/volume-folder.ts';
import { forgetCephSecret, keepCephSecret } from './ceph-secret.ts';
import { DirectoryPool, type DiskKind, ownStorage, unusable } from './directory-pool.ts';
import { driverOf, driverOfPool } from './drivers.ts';
import { hasInstances } from './instances-home.ts';
import type { PoolDriver } from './pool-driver.ts';
import { forgetPool, knownPools, readPool, writePool } from './pool-record.ts';
import { removeCopies } from './rbd-image-copies.ts';
import { RbdPool } from './rbd-pool.ts';

/** Letters that need no quoting anywhere: QEMU's options have meanings for others. */
const plainPath = /^[A-Za-z0-9/._-]+$/;

export function poolKeeping(context: AgentContext): PoolKeeping {
  const { storage } = context;
  /** Of each pool since it was last opened, or seen to be back: to try that out writes to it. */
  const known = new Map<PoolId, PoolAbilities>();
  const look = async (pool: DesiredPool) => {
    const observed = await observe(pool, driverOfPool(storage, pool), known.get(pool.id));
    if (observed.abilities === null) known.delete(pool.id);
    else known.set(pool.id, observed.abilities);
    return observed;
  };
  return {
    applyPool: (desired) => context.locks.run(desired.id, () => openPool(context, desired)),
    deletePool: (pool) => context.locks.run(pool.id, () => deletePool(context, pool)),
    listPools: async (cloudId) => {
      const pools = (await knownPools(storage)).filter((pool) => pool.cloudId === cloudId);
      return Promise.all(pools.map(look));
    },
    storageAbilities: () => ownStorage(storage).abilities(),
  };
}

/** The driver of a pool that a volume is to lie in, which is opened when the host does not know it as it is now. */
export async function poolOf(
  context: AgentContext,
  desired: DesiredPool | undefined,
  kind?: DiskKind,
): Promise<PoolDriver> {
  if (desired === undefined) return ownStorage(context.storage, kind);
  const known = await readPool(context.storage, desired.id);
  if (known === undefined || known.generation < desired.generation) {
    await context.locks.run(desired.id, () => openPool(context, desired));
  }
  return driverOfPool(context.storage, desired, kind);
}

/** Before a guest is given a disk that lies there. @throws PoolUnusable | HostUnavailable */
export async function requirePool(context: AgentContext, id: PoolId): Promise<void> {
  const known = await readPool(context.storage, id);
  if (known?.place.driver === 'rbd') await keepCephSecret(context, id, known.place.key);
  await (await driverOf(context.storage, id)).require();
}

async function openPool(context: AgentContext, desired: DesiredPool): Promise<ObservedPool> {
  const { storage, hook } = context;
  const known = await readPool(storage, desired.id);
  if (known !== undefined && known.cloudId !== desired.cloudId) throw notOurs(desired);
  if (known !== undefined && known.generation > desired.generation) throw overtaken(known, desired);
  const driver = driverOfPool(storage, desired);
  if (driver instanceof DirectoryPool) {
    await requireFolder(context, driver.path);
    if (known === undefined) await refuseNested(context, desired.id, driver.path);
    await hook('mark-pool', desired.id);
    await driver.mark({ mustExist: desired.mustExist || known !== undefined });
    await requireReach(context, driver.home);
  } else if (desired.place.driver === 'rbd') {
    await keepCephSecret(context, desired.id, desired.place.key);
  }
  const observed = await observe(desired, driver);
  if (observed.failure !== null) throw new VirgaError('PoolUnusable', observed.failure);
  await hook('keep-pool', desired.id);
  await writePool(storage, desired);
  return observed;
}

async function deletePool(context: AgentContext, { id, cloudId }: { id: PoolId; cloudId: string }): Promise<void> {
  const { storage, hook } = context;
  const known = await readPool(storage, id);
  if (known === undefined || known.cloudId !== cloudId) return;
  const there = (await listVolumes(storage, cloudId)).find(({ poolId }) => poolId === id);
  if (there !== undefined) {
    throw new VirgaError('InUse', {
      detail: `The volume ${there.name} (${there.id}) lies in the pool ${known.name}.`,
      action: 'Delete it first, or move it to another pool.',
    });
  }
  const driver = driverOfPool(storage, known);
  if (await hasInstances(storage, id, driver)) {
    throw new VirgaError('InUse', {
      detail: `Disks of instances lie in the pool ${known.name}.`,
      action: 'Delete those instances first.',
    });
  }
  await hook('forget-pool', id);
  // Of a folder that is not there now, the mark stays; nothing else is lost by that.
  if (driver instanceof DirectoryPool) await driver.unmark().catch(() => undefined);
  else await forgetCephSecret(context, id);
  if (driver instanceof RbdPool) await removeCopies(driver, cloudId);
  await forgetPool(storage, id);
}

async function observe(
  { id, cloudId, generation }: DesiredPool,
  driver: PoolDriver,
  known?: PoolAbilities,
): Promise<ObservedPool> {
  try {
    await driver.require();
    const [space, abilities] = await Promise.all([driver.space(), known ?? driver.abilities()]);
    return {
      ...{ id, cloudId, generation, failure: null, abilities },
      capacityBytes: space.totalBytes,
      freeBytes: space.freeBytes,
    };
  } catch (error) {
    const { detail, action } = error instanceof VirgaError ? error : unusable(`${(error as Error).message}.`, seeLog);
    return {
      ...{ id, cloudId, generation, failure: { detail, action }, abilities: null },
      capacityBytes: 0,
      freeBytes: 0,
    };
  }
}

const seeLog = 'See the log of the host agent.';

const folderAction = 'Give the path of a folder of the host, absolute, of plain letters, that nothing else uses.';

/** @throws PoolUnusable it is no folder, or one that other things lie in */
async function requireFolder({ storage }: AgentContext, path: string): Promise<void> {
  const action = folderAction;
  if (!isAbsolute(path) || path.split('/').includes('..') || !plainPath.test(path)) {
    throw unusable(`${path} cannot be the path of a pool.`, action);
  }
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw unusable(`There is no folder ${path} on the host that root can read (${error.code}).`, action, error);
  });
  if (!found.isDirectory()) throw unusable(`${path} is no folder.`, action);
  const [real, own] = await Promise.all([realpath(path), realpath(storage.path)]);
  if (lieInEachOther(real, own)) {
    throw unusable(`${path} and the storage of the host, ${storage.path}, lie in each other.`, action);
  }
}

/** @throws PoolUnusable one of two pools would count the other's space, and could take its folders for its own */
async function refuseNested({ storage }: AgentContext, id: PoolId, path: string): Promise<void> {
  const real = await realpath(path);
  for (const { id: otherId, name, place } of await knownPools(storage)) {
    if (otherId === id || place.driver === 'rbd') continue;
    // Where one that is not mounted lies is taken as it was written.
    const other = await realpath(place.path).catch(() => place.path);
    if (!lieInEachOther(real, other) || real === other) continue;
    throw unusable(`${path} and the pool ${name}, ${place.path}, lie in each other.`, folderAction);
  }
}

const lieInEachOther = (one: string, other: string): boolean =>
  `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`);

/** @throws PoolUnusable guests' QEMU may not go there */
async function requireReach({ hypervisor }: AgentContext, path: string): Promise<void> {
  const user = await otherOwner(hypervisor);
  if (user === undefined || user.uid === 0) return;
  try {
    await runCommand('test', ['-x', path], { user });
  } catch (error) {
    throw unusable(
      `Guests' QEMU (user ${user.uid}) may not cross the folders above ${path}.`,
      `Let others cross them: chmod o+x on each, as namei -l ${path} shows them.`,
      error,
    );
  }
}

const notOurs = ({ name }: DesiredPool) =>
  new VirgaError('Conflict', { detail: `The pool ${name} belongs to another cloud.`, action: 'Choose another one.' });

const overtaken = (known: DesiredPool, { generation, name }: DesiredPool) =>
  new VirgaError('Conflict', {
    detail: `Generation ${known.generation} of pool ${name} has been applied, which is newer than ${generation}.`,
    action: 'Read it again.',
  });

// Pools of a simulated host: as large as a test says, and gone when it says so.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DesiredPool, ObservedPool, PoolAbilities, PoolKeeping } from '@virga/contract/agent/pools';
import { VirgaError } from '@virga/contract/errors';
import type { PoolId } from '@virga/contract/ids';
import type { Calls } from './call-steps.ts';
import type { SimulatedHost } from './simulated-host.ts';

export type PoolControls = {
  /** How large each pool is. */
  sizePools(bytes: number): void;
  /** What is mounted there goes away, and comes back. */
  unmountPool(id: PoolId): void;
  mountPool(id: PoolId): void;
};

const abilities: PoolAbilities = { fileSystem: 'xfs', reflink: true, directIo: true };

export const poolControls = ({ pools }: SimulatedHost): PoolControls => ({
  sizePools: (bytes) => {
    pools.poolBytes = bytes;
  },
  unmountPool: (id) => void pools.awayPools.add(id),
  mountPool: (id) => void pools.awayPools.delete(id),
});

export const simulatedPools = (host: SimulatedHost, calls: Calls): PoolKeeping => ({
  applyPool: (desired, context) => calls.run('applyPool', desired.id, context, () => openSimulatedPool(host, desired)),
  deletePool: ({ id, cloudId }, context) =>
    calls.run('deletePool', id, context, () => {
      const known = host.store.pools.get(id);
      if (known?.cloudId !== cloudId) return;
      const there = host.store.volumes.all().find(({ poolId }) => poolId === id);
      if (there !== undefined) throw inUse(known.name, there.name);
      const disk = host.store.domains.all().find(({ record }) => record.desired.rootDisk.pool === id);
      if (disk !== undefined) throw inUse(known.name, disk.record.desired.domainName);
      host.store.pools.delete(id);
      for (const [key, copy] of [...host.store.imageCopies.entries()]) {
        if (copy.poolId === id) host.store.imageCopies.delete(key);
      }
    }),
  listPools: (cloudId, context) =>
    calls.run('listPools', 'host', context, () =>
      host.store.pools
        .all()
        .filter((pool) => pool.cloudId === cloudId)
        .map((pool) => observe(host, pool)),
    ),
  storageAbilities: (context) => calls.run('storageAbilities', 'host', context, () => abilities),
});

/** @throws PoolUnusable | Conflict */
export function openSimulatedPool(host: SimulatedHost, desired: DesiredPool): ObservedPool {
  const known = host.store.pools.get(desired.id);
  if (known !== undefined && known.cloudId !== desired.cloudId) throw conflict(`The pool ${desired.name} is not ours.`);
  if (known !== undefined && known.generation > desired.generation)
    throw conflict(`A newer generation of pool ${desired.name} has been applied.`);
  const observed = observe(host, desired);
  const around = known ? undefined : host.store.pools.all().find((other) => lieInEachOther(other, desired));
  if (around) throw nested(desired.name, around.name);
  if (observed.failure !== null) throw new VirgaError('PoolUnusable', observed.failure);
  host.store.pools.set(desired.id, desired);
  return observed;
}

function observe(host: SimulatedHost, { id, cloudId, generation, place }: DesiredPool): ObservedPool {
  const { poolBytes, awayPools } = host.pools;
  const isAbsolute = place.driver === 'rbd' || place.path.startsWith('/');
  if (awayPools.has(id) || !isAbsolute) {
    const failure = { detail: 'There is no such folder on the host.', action: 'Mount what belongs there.' };
    return { id, cloudId, generation, failure, capacityBytes: 0, freeBytes: 0, abilities: null };
  }
  const there = host.store.volumes.all().filter(({ poolId }) => poolId === id);
  const usedBytes = there.reduce((sum, { fileBytes }) => sum + (fileBytes ?? 0), 0);
  const freeBytes = Math.max(0, poolBytes - usedBytes);
  return { id, cloudId, generation, failure: null, capacityBytes: poolBytes, freeBytes, abilities };
}

function lieInEachOther({ place: one }: DesiredPool, { place: other }: DesiredPool): boolean {
  if (one.driver === 'rbd' || other.driver === 'rbd' || one.path === other.path) return false;
  return `${one.path}/`.startsWith(`${other.path}/`) || `${other.path}/`.startsWith(`${one.path}/`);
}

const nested = (one: string, other: string) =>
  new VirgaError('PoolUnusable', {
    detail: `The pools ${one} and ${other} lie in each other.`,
    action: 'Give the path of another folder.',
  });

const conflict = (detail: string) => new VirgaError('Conflict', { detail, action: 'Read it again.' });

/** @throws PoolUnusable the root disk is to lie in a pool that the host does not know */
export function requireRootPool(host: SimulatedHost, { rootDisk }: DesiredInstance): void {
  if (rootDisk.pool === undefined || host.store.pools.get(rootDisk.pool) !== undefined) return;
  throw new VirgaError('PoolUnusable', {
    detail: `The host does not know the pool ${rootDisk.pool}.`,
    action: 'It learns of it from the server; try again in a moment.',
  });
}

const inUse = (pool: string, what: string) =>
  new VirgaError('InUse', { detail: `The disk of ${what} lies in the pool ${pool}.`, action: 'Delete it first.' });

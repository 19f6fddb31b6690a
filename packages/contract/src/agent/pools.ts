// Storage pools on a host: where volumes lie besides the host's own storage folder. Whole desired objects; an agent keeps
// what it was told of a pool, so that it finds the volumes there by itself.
import { type Static, Type } from 'typebox';
import { IdSchema, type PoolId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

/** `directory`: a folder of this host. `shared-directory`: one that several hosts have mounted. `rbd`: a pool of Ceph. */
export const PoolPlace = Type.Union([
  Type.Object({ driver: Type.Literal('directory'), path: Type.String() }),
  Type.Object({ driver: Type.Literal('shared-directory'), path: Type.String() }),
  Type.Object({
    driver: Type.Literal('rbd'),
    /** Addresses, with a port where it is not Ceph's own. */
    monitors: Type.Array(Type.String(), { minItems: 1 }),
    cephPool: Type.String(),
    user: Type.String(),
    /** As Ceph writes it, base64. */
    key: Type.String(),
  }),
]);
export type PoolPlace = Static<typeof PoolPlace>;
export type PoolDriverName = PoolPlace['driver'];

export const DesiredPool = Type.Object({
  id: IdSchema('pool'),
  cloudId: Type.String(),
  generation: Type.Integer(),
  name: Type.String(),
  /** Some host has opened it before: what has no mark of it is another folder, such as one that is not mounted. */
  mustExist: Type.Boolean(),
  place: PoolPlace,
  /** As of an instance. */
  keepsake: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});
export type DesiredPool = Static<typeof DesiredPool>;

/** What a pool can do, tried out rather than looked up. */
export const PoolAbilities = Type.Object({
  fileSystem: Type.Union([Type.String(), Type.Null()]),
  /** A copy shares its blocks with the original until one of them is written. */
  reflink: Type.Boolean(),
  directIo: Type.Boolean(),
});
export type PoolAbilities = Static<typeof PoolAbilities>;

export const ObservedPool = Type.Object({
  id: IdSchema('pool'),
  cloudId: Type.String(),
  generation: Type.Integer(),
  /** Null: it can be used. */
  failure: Type.Union([Type.Object({ detail: Type.String(), action: Type.String() }), Type.Null()]),
  /** 0 while it cannot be used. */
  capacityBytes: Type.Integer(),
  freeBytes: Type.Integer(),
  /** Null while it cannot be used. */
  abilities: Type.Union([PoolAbilities, Type.Null()]),
});
export type ObservedPool = Static<typeof ObservedPool>;

/** A pool as it was applied last, without its key. */
export type FoundPool = Omit<DesiredPool, 'mustExist'>;

export const foundPool = ({ mustExist: _, place, ...pool }: DesiredPool): FoundPool => ({
  ...pool,
  place: place.driver === 'rbd' ? { ...place, key: '' } : place,
});

/** The part of a host agent that looks after pools. The host's own storage folder is none of them. */
export interface PoolKeeping {
  /**
   * Opens a pool: tries out that volumes can be made there and that guests reach them. Idempotent; what is there stays.
   * @throws PoolUnusable the folder or the cluster is not what it must be, with the reason | Conflict another cloud's, or a
   *   newer generation has been applied | HostUnavailable retry later
   */
  applyPool(desired: DesiredPool, context?: CallContext): Promise<ObservedPool>;
  /** Forgets a pool. Nothing there is success. @throws InUse a volume of this host lies in it */
  deletePool(pool: { id: PoolId; cloudId: string }, context?: CallContext): Promise<void>;
  /** Every pool of this cloud on the host, looked at now; one that cannot be reached says so. */
  listPools(cloudId: string, context?: CallContext): Promise<ObservedPool[]>;
  /** The host's own storage. */
  storageAbilities(context?: CallContext): Promise<PoolAbilities>;
}

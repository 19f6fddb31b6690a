// Storage pools and volume types.
import type { poolRoutes } from '@virga/contract/rest/pools';
import type { volumeTypeRoutes } from '@virga/contract/rest/volume-types';
import { createPool, deletePool, getPool, listPools, updatePool } from '../../modules/pools/pool-operations.ts';
import { createVolumeType, deleteVolumeType, listVolumeTypes } from '../../modules/volumes/volume-type-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function poolHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof poolRoutes | keyof typeof volumeTypeRoutes> {
  const { db } = deps;
  return {
    listPools: ({ access, query }) => listPools(db, access, query),
    getPool: ({ access, params }) => getPool(db, access, params.id),
    createPool: ({ access, body, idempotency }) => createPool(deps, access, body, idempotency),
    updatePool: ({ access, params, body }) => updatePool(deps, access, params.id, body),
    deletePool: ({ access, params }) => deletePool(deps, access, params.id),
    listVolumeTypes: ({ access }) => listVolumeTypes(db, access),
    createVolumeType: ({ access, body, idempotency }) => createVolumeType(deps, access, body, idempotency),
    deleteVolumeType: ({ access, params }) => deleteVolumeType(deps, access, params.name),
  };
}

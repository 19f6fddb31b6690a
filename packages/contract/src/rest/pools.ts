// Storage pools: where volumes and disks lie. Each host's own storage is its pool `local`; cloud administrators add others,
// which one host has or several see.
import { type Static, Type } from 'typebox';
import { PoolAbilities } from '../agent/pools.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, ListQuery, Name, Nullable, Page, Time } from './shared.ts';

export const PoolDriver = Type.Union([
  Type.Literal('directory', { description: 'a folder of one host' }),
  Type.Literal('shared-directory', { description: 'a folder that several hosts have mounted, such as of NFS' }),
  Type.Literal('rbd', { description: 'a pool of a Ceph cluster' }),
]);

const path = Type.String({
  maxLength: 1024,
  pattern: '^(/(?![.]{1,2}(/|$))[A-Za-z0-9._-]+)+/?$',
  description: 'absolute, of plain letters, without . and ..; the folder must be there',
});
const overcommit = Type.Number({
  minimum: 0.1,
  maximum: 1000,
  description: 'how many times over its capacity may be promised',
});
const lowSpacePercent = Type.Integer({
  minimum: 0,
  maximum: 99,
  description: 'free space below which an alarm is raised; 0: never',
});
const monitor = Type.String({ pattern: '^[A-Za-z0-9.-]+(:[0-9]{1,5})?$' });

export const Pool = Type.Object(
  {
    id: IdSchema('pool'),
    name: Name,
    driver: PoolDriver,
    path: Nullable(Type.String()),
    ceph: Nullable(Type.Object({ monitors: Type.Array(Type.String()), pool: Type.String(), user: Type.String() })),
    state: Type.Union([
      Type.Literal('pending', { description: 'being opened' }),
      Type.Literal('ready'),
      Type.Literal('unavailable', { description: 'no host can use it; see stateReason' }),
      Type.Literal('deleting'),
    ]),
    stateReason: Nullable(Type.String()),
    hosts: Type.Array(
      Type.Object({
        hostId: IdSchema('host'),
        hostName: Type.String(),
        isReady: Type.Boolean(),
        reason: Nullable(Type.String()),
        abilities: Nullable(PoolAbilities),
      }),
      { description: 'that have it' },
    ),
    capacityBytes: Nullable(Type.Integer({ description: 'null: not known yet' })),
    freeBytes: Nullable(Type.Integer()),
    allocatedBytes: Type.Integer({ description: 'sizes of all volumes and disks in it, as their guests see them' }),
    overcommit: Nullable(overcommit),
    lowSpacePercent,
    isLow: Type.Boolean({ description: 'less is free than lowSpacePercent' }),
    isDefault: Type.Boolean({ description: 'volumes go there when nothing else is said' }),
    generation: Type.Integer({ description: 'grows with every change that was asked for' }),
    createdAt: Time,
  },
  { $id: 'Pool' },
);
export type Pool = Static<typeof Pool>;

export const CreatePool = Type.Object(
  {
    name: Name,
    driver: PoolDriver,
    path: Type.Optional(path),
    ceph: Type.Optional(
      Type.Object(
        {
          monitors: Type.Array(monitor, { minItems: 1, maxItems: 16 }),
          pool: Type.String({ pattern: '^[A-Za-z0-9._-]{1,128}$' }),
          user: Type.String({ pattern: '^[A-Za-z0-9._-]{1,128}$', description: 'without client.' }),
          key: Type.String({ pattern: '^[A-Za-z0-9+/]{20,200}={0,2}$', description: 'as Ceph writes it' }),
        },
        { additionalProperties: false },
      ),
    ),
    hosts: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
        minItems: 1,
        maxItems: 1000,
        description: 'ids or names of the hosts that have it; default every host, of a directory the only one',
      }),
    ),
    overcommit: Type.Optional(overcommit),
    lowSpacePercent: Type.Optional(lowSpacePercent),
    isDefault: Type.Optional(Type.Boolean()),
  },
  { $id: 'CreatePool', additionalProperties: false },
);
export type CreatePool = Static<typeof CreatePool>;

export const UpdatePool = Type.Object(
  {
    overcommit: Type.Optional(Nullable(overcommit)),
    lowSpacePercent: Type.Optional(lowSpacePercent),
    isDefault: Type.Optional(Type.Boolean()),
  },
  { $id: 'UpdatePool', additionalProperties: false },
);
export type UpdatePool = Static<typeof UpdatePool>;

const Changed = Type.Object({ pool: Pool, operationId: IdSchema('operation') });

const byAdmin = { scope: 'cloud', role: 'admin' } as const;

export const poolRoutes = {
  listPools: route({
    method: 'GET',
    path: '/v1/pools',
    summary: 'List storage pools',
    access: { scope: 'project', role: 'viewer' },
    query: ListQuery,
    ok: Page(Pool),
  }),
  getPool: route({
    method: 'GET',
    path: '/v1/pools/{id}',
    summary: 'Show a storage pool',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('pool'),
    ok: Pool,
  }),
  createPool: route({
    method: 'POST',
    path: '/v1/pools',
    summary: 'Create a storage pool; its hosts open it afterwards',
    access: byAdmin,
    body: CreatePool,
    ok: Changed,
    status: 201,
  }),
  updatePool: route({
    method: 'PATCH',
    path: '/v1/pools/{id}',
    summary: 'Change how much of a pool may be promised, when it is low, and whether it is the default',
    access: byAdmin,
    params: idParams('pool'),
    body: UpdatePool,
    ok: Pool,
  }),
  deletePool: route({
    method: 'DELETE',
    path: '/v1/pools/{id}',
    summary: 'Delete a pool that nothing lies in; what it is made of stays',
    access: byAdmin,
    params: idParams('pool'),
    ok: Changed,
  }),
};

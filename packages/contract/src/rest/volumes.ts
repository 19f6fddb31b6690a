// Volumes: disks that outlive the instances they are attached to. A volume lies on one host, and only instances there can
// have it; in a pool that several hosts see, it lies on each of them.
import { type Static, Type } from 'typebox';
import { DiskDriver, DiskLimits } from '../agent/desired.ts';
import { Preallocation, VolumeFormat } from '../agent/volumes.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, ListQuery, Name, Nullable, Page, Time } from './shared.ts';

export const Volume = Type.Object(
  {
    id: IdSchema('volume'),
    projectId: IdSchema('project'),
    name: Name,
    sizeBytes: Type.Integer({ description: 'what a guest sees' }),
    usedBytes: Nullable(Type.Integer({ description: 'what it takes from its pool, as last seen' })),
    poolId: IdSchema('pool'),
    poolName: Type.String(),
    type: Nullable(Type.String({ description: 'the volume type that it was created with' })),
    format: VolumeFormat,
    preallocation: Preallocation,
    encrypted: Type.Boolean(),
    image: Nullable(
      Type.Object(
        {
          imageId: IdSchema('image'),
          clone: Type.Union([Type.Literal('linked'), Type.Literal('full')]),
        },
        { description: 'what was in it at first' },
      ),
    ),
    snapshot: Nullable(
      Type.Object(
        { snapshotId: IdSchema('snapshot'), diskId: IdSchema('volume') },
        { description: 'what it was a copy of at first; that may be gone since' },
      ),
    ),
    limits: Nullable(DiskLimits),
    deletionProtection: Type.Boolean({ description: 'it cannot be deleted while this is so' }),
    scratch: Type.Boolean({ description: 'what is on it may be lost: no backups, and any cache mode' }),
    state: Type.Union([
      Type.Literal('pending', { description: 'being made' }),
      Type.Literal('available'),
      Type.Literal('in-use', { description: 'an instance has it' }),
      Type.Literal('deleting'),
      Type.Literal('error', { description: 'cannot be used; see stateReason' }),
    ]),
    stateReason: Nullable(Type.String()),
    hostId: IdSchema('host'),
    hostName: Type.String(),
    attachment: Nullable(
      Type.Object({
        instanceId: IdSchema('instance'),
        instanceName: Name,
        target: Type.String(),
        readOnly: Type.Boolean(),
        limits: Nullable(DiskLimits),
        driver: Nullable(DiskDriver),
      }),
    ),
    move: Nullable(
      Type.Object(
        { poolId: IdSchema('pool'), poolName: Type.String(), operationId: IdSchema('operation') },
        { description: 'the pool that it is on its way to' },
      ),
    ),
    generation: Type.Integer({ description: 'grows with every change that was asked for' }),
    createdAt: Time,
  },
  { $id: 'Volume' },
);
export type Volume = Static<typeof Volume>;

const sizeGib = Type.Integer({ minimum: 1, maximum: 65_536 });

export const CreateVolume = Type.Object(
  {
    name: Name,
    sizeGib: Type.Optional(sizeGib),
    type: Type.Optional(Type.String({ minLength: 1, maxLength: 63, description: 'a volume type' })),
    pool: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 63,
        description: 'id or name of the pool to put it in; default that of the type, the default pool, the local one',
      }),
    ),
    image: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'id or name of the image to begin as a copy of' }),
    ),
    clone: Type.Optional(
      Type.Union([
        Type.Literal('full', { description: 'a copy of its own; the default' }),
        Type.Literal('linked', { description: 'rests on the image, which stays as long' }),
      ]),
    ),
    snapshot: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: 'id or name of the snapshot to begin as a copy of, on its host',
      }),
    ),
    disk: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description:
          'which disk of the snapshot: its place such as vdc, its id, or the name of the volume; default the root disk',
      }),
    ),
    format: Type.Optional(VolumeFormat),
    preallocation: Type.Optional(Preallocation),
    encrypted: Type.Optional(
      Type.Boolean({
        description:
          'with a key of its own (LUKS); default what the type says, and true for a copy of a disk that is encrypted',
      }),
    ),
    deletionProtection: Type.Optional(Type.Boolean()),
    scratch: Type.Optional(
      Type.Boolean({ description: 'what is on it may be lost: no backups, and any cache mode; for good' }),
    ),
    instance: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'id or name of the instance to put it beside' }),
    ),
    host: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: 'id or name of the host to put it on; default the one with most free storage',
      }),
    ),
  },
  { $id: 'CreateVolume', additionalProperties: false },
);
export type CreateVolume = Static<typeof CreateVolume>;

const change = {
  access: { scope: 'project', role: 'operator' },
  ok: Type.Object({ volume: Volume, operationId: IdSchema('operation') }),
  status: 202,
} as const;

export const UpdateVolume = Type.Object(
  { name: Type.Optional(Name), deletionProtection: Type.Optional(Type.Boolean()) },
  { $id: 'UpdateVolume', additionalProperties: false },
);
export type UpdateVolume = Static<typeof UpdateVolume>;

export const volumeRoutes = {
  listVolumes: route({
    method: 'GET',
    path: '/v1/volumes',
    summary: 'List volumes',
    access: { scope: 'project', role: 'viewer' },
    query: ListQuery,
    ok: Page(Volume),
  }),
  getVolume: route({
    method: 'GET',
    path: '/v1/volumes/{id}',
    summary: 'Show a volume',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('volume'),
    ok: Volume,
  }),
  createVolume: route({
    ...change,
    method: 'POST',
    path: '/v1/volumes',
    summary: 'Create a volume, empty or as a copy of an image or of what a snapshot keeps',
    body: CreateVolume,
  }),
  updateVolume: route({
    ...change,
    method: 'PATCH',
    path: '/v1/volumes/{id}',
    summary: 'Rename a volume, or protect it from being deleted',
    params: idParams('volume'),
    body: UpdateVolume,
    ifMatch: true,
  }),
  resizeVolume: route({
    ...change,
    method: 'POST',
    path: '/v1/volumes/{id}/resize',
    summary: 'Grow a volume, also while a guest that runs has it',
    params: idParams('volume'),
    body: Type.Object({ sizeGib }, { additionalProperties: false }),
    ifMatch: true,
  }),
  deleteVolume: route({
    ...change,
    method: 'DELETE',
    path: '/v1/volumes/{id}',
    summary: 'Delete a volume that no instance has, with all that is in it, overwritten before with wipe',
    params: idParams('volume'),
    query: Type.Object({ wipe: Type.Optional(Type.Boolean()) }),
    ifMatch: true,
  }),
};

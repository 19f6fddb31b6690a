// Volume types: what volumes of a class have in common. A volume keeps what it was created with.
import { type Static, Type } from 'typebox';
import { DiskLimits } from '../agent/desired.ts';
import { Preallocation, VolumeFormat } from '../agent/volumes.ts';
import { route } from '../route.ts';
import { Name, Nothing } from './shared.ts';

export const VolumeType = Type.Object(
  {
    name: Name,
    pool: Type.Optional(
      Type.String({ minLength: 1, maxLength: 63, description: 'name of the pools that they lie in' }),
    ),
    limits: Type.Optional(DiskLimits),
    format: Type.Optional(VolumeFormat),
    preallocation: Type.Optional(Preallocation),
    encrypted: Type.Optional(Type.Boolean()),
  },
  { $id: 'VolumeType', additionalProperties: false },
);
export type VolumeType = Static<typeof VolumeType>;

const typeParams = Type.Object({ name: Type.String({ minLength: 1, maxLength: 63 }) });
const byAdmin = { scope: 'cloud', role: 'admin' } as const;

export const volumeTypeRoutes = {
  listVolumeTypes: route({
    method: 'GET',
    path: '/v1/volume-types',
    summary: 'List volume types',
    access: { scope: 'project', role: 'viewer' },
    ok: Type.Object({ items: Type.Array(VolumeType) }),
  }),
  createVolumeType: route({
    method: 'POST',
    path: '/v1/volume-types',
    summary: 'Create a volume type',
    access: byAdmin,
    body: VolumeType,
    ok: VolumeType,
    status: 201,
  }),
  deleteVolumeType: route({
    method: 'DELETE',
    path: '/v1/volume-types/{name}',
    summary: 'Delete a volume type; volumes stay as they are',
    access: byAdmin,
    params: typeParams,
    ok: Nothing,
  }),
};

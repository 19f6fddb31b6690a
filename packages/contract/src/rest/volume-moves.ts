// Moves of volumes from one pool of their host to another, also while a guest writes to them.
import { type Static, Type } from 'typebox';
import { VolumeFormat } from '../agent/volumes.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams } from './shared.ts';
import { Volume } from './volumes.ts';

export const MoveVolume = Type.Object(
  {
    pool: Type.String({ minLength: 1, maxLength: 63, description: 'id or name of a pool that its host has' }),
    format: Type.Optional(VolumeFormat),
    bandwidthBytesPerSecond: Type.Optional(
      Type.Integer({ minimum: 65_536, maximum: 2 ** 50, description: 'copy no faster; default as fast as it goes' }),
    ),
    wipe: Type.Optional(Type.Boolean({ description: 'overwrite what is left in the old pool before it is removed' })),
  },
  { $id: 'MoveVolume', additionalProperties: false },
);
export type MoveVolume = Static<typeof MoveVolume>;

const change = {
  access: { scope: 'project', role: 'operator' },
  params: idParams('volume'),
  ok: Type.Object({ volume: Volume, operationId: IdSchema('operation') }),
  status: 202,
} as const;

export const volumeMoveRoutes = {
  moveVolume: route({
    ...change,
    method: 'POST',
    path: '/v1/volumes/{id}/move',
    summary: 'Move a volume to another pool, also while a guest writes to it',
    body: MoveVolume,
    ifMatch: true,
  }),
  cancelVolumeMove: route({
    ...change,
    method: 'DELETE',
    path: '/v1/volumes/{id}/move',
    summary: 'Cancel the move of a volume, which is as before when the operation has ended',
  }),
};

// Moves of root disks from one pool of their host to another, also while the guest writes to them.
import { type Static, Type } from 'typebox';
import { route } from '../route.ts';
import { InstanceChanged } from './instances.ts';
import { idParams } from './shared.ts';
import { MoveVolume } from './volume-moves.ts';

const { pool, bandwidthBytesPerSecond, wipe } = MoveVolume.properties;

export const MoveRootDisk = Type.Object(
  { pool, bandwidthBytesPerSecond, wipe },
  { $id: 'MoveRootDisk', additionalProperties: false },
);
export type MoveRootDisk = Static<typeof MoveRootDisk>;

const change = {
  access: { scope: 'project', role: 'operator' },
  params: idParams('instance'),
  ok: InstanceChanged,
  status: 202,
} as const;

export const rootDiskMoveRoutes = {
  moveRootDisk: route({
    ...change,
    method: 'POST',
    path: '/v1/instances/{id}/move-disk',
    summary: 'Move the root disk of an instance to another pool, also while its guest writes to it',
    body: MoveRootDisk,
    ifMatch: true,
  }),
  cancelRootDiskMove: route({
    ...change,
    method: 'DELETE',
    path: '/v1/instances/{id}/move-disk',
    summary: 'Cancel the move of a root disk, which is as before when the operation has ended',
  }),
};

// Warm images: guests that were booted from an image and are kept to be copied, so that launches begin in a fraction of a
// boot. One for each image, type and host.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Name, Nullable, Time } from './shared.ts';

export const WarmImage = Type.Object(
  {
    id: IdSchema('template'),
    imageId: IdSchema('image'),
    imageName: Name,
    hostId: IdSchema('host'),
    hostName: Type.String(),
    type: Name,
    vcpus: Type.Integer(),
    memoryMib: Type.Integer(),
    diskBytes: Type.Integer(),
    pool: Type.Integer({ description: 'how many copies are to wait' }),
    waiting: Type.Integer({ description: 'how many copies wait' }),
    state: Type.Union([
      Type.Literal('pending', { description: 'its guest is being booted' }),
      Type.Literal('ready', { description: 'launches begin from it' }),
      Type.Literal('failed', { description: 'tried again now and then; see stateReason' }),
      Type.Literal('dropped', {
        description: 'copied no more; its disk stays as long as disks of instances rest on it',
      }),
    ]),
    stateReason: Nullable(Type.String()),
    createdAt: Time,
  },
  { $id: 'WarmImage' },
);
export type WarmImage = Static<typeof WarmImage>;

export const warmRoutes = {
  listWarmImages: route({
    method: 'GET',
    path: '/v1/warm-images',
    summary: 'List the guests that are kept to be copied',
    access: { scope: 'cloud', role: 'viewer' },
    ok: Type.Object({ items: Type.Array(WarmImage) }),
  }),
  warmImage: route({
    method: 'POST',
    path: '/v1/images/{id}/warm',
    summary: 'Keep a guest of the image on every host, to be copied by launches of a type; again, to change the pool',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('image'),
    body: Type.Object(
      {
        type: Type.Optional(Type.Unsafe<string>({ ...Name, default: 'small' })),
        pool: Type.Optional(
          Type.Integer({ minimum: 0, maximum: 16, default: 1, description: 'how many copies wait on each host' }),
        ),
      },
      { additionalProperties: false },
    ),
    ok: Type.Object({ items: Type.Array(WarmImage) }),
    status: 202,
  }),
  coolImage: route({
    method: 'POST',
    path: '/v1/images/{id}/cool',
    summary: 'Copy guests of the image no more; instances that began as copies stay',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('image'),
    body: Type.Object(
      { type: Type.Optional(Type.Unsafe<string>({ ...Name, description: 'default every type' })) },
      { additionalProperties: false },
    ),
    ok: Type.Object({ items: Type.Array(WarmImage) }),
    status: 202,
  }),
};

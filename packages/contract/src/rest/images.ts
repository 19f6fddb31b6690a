// Images: sealed disks that instances are cloned from, and CD-ROMs for their drives.
import { type Static, Type } from 'typebox';
import { ImageVerification } from '../agent/image-source.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, ListQuery, Name, Nullable, Page, Time } from './shared.ts';

export const ImageState = Type.Union([
  Type.Literal('pending'),
  Type.Literal('available'),
  Type.Literal('failed'),
  Type.Literal('deleting'),
]);

export const ImageKind = Type.Union([
  Type.Literal('disk', { description: 'instances are cloned from it' }),
  Type.Literal('iso', { description: 'inserted into CD-ROM drives' }),
]);
export type ImageKind = Static<typeof ImageKind>;

/** Of an image that was downloaded or sent; null: it was a file of a host. */
export const ImageOrigin = Type.Object({
  url: Nullable(Type.String()),
  verification: Nullable(ImageVerification),
});
export type ImageOrigin = Static<typeof ImageOrigin>;

export const Image = Type.Object(
  {
    id: IdSchema('image'),
    projectId: IdSchema('project'),
    name: Name,
    visibility: Type.Union([Type.Literal('private'), Type.Literal('public')]),
    state: ImageState,
    stateReason: Nullable(Type.String()),
    kind: ImageKind,
    format: Nullable(Type.Union([Type.Literal('qcow2'), Type.Literal('raw')])),
    virtualSizeBytes: Nullable(Type.Integer({ description: 'size of the disk that a guest sees' })),
    fileSizeBytes: Nullable(Type.Integer()),
    sha256: Nullable(Type.String()),
    defaultUser: Type.String({ description: 'who to log in as over SSH' }),
    minimumMemoryMib: Type.Integer(),
    warmable: Type.Boolean({ description: 'its guests can be copied while they run: see virga images warm' }),
    origin: Nullable(ImageOrigin),
    createdAt: Time,
  },
  { $id: 'Image' },
);
export type Image = Static<typeof Image>;

const Changed = Type.Object({ image: Image, operationId: IdSchema('operation') });

export const imageRoutes = {
  listImages: route({
    method: 'GET',
    path: '/v1/images',
    summary: 'List the images of the project and the public ones',
    access: { scope: 'project', role: 'viewer' },
    query: ListQuery,
    ok: Page(Image),
  }),
  getImage: route({
    method: 'GET',
    path: '/v1/images/{id}',
    summary: 'Show an image',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('image'),
    ok: Image,
  }),
  registerImage: route({
    method: 'POST',
    path: '/v1/images',
    summary: 'Register an image from a file on the host; the file is copied',
    access: { scope: 'cloud', role: 'admin' },
    body: Type.Object(
      {
        name: Name,
        path: Type.String({ pattern: '^/', maxLength: 4096, description: 'absolute path of a file on the host' }),
        kind: Type.Optional(Type.Unsafe<ImageKind>({ ...ImageKind, default: 'disk' })),
        format: Type.Union([Type.Literal('qcow2'), Type.Literal('raw')], {
          description:
            'stated, never guessed (raw for an ISO): guessing lets a guest turn a raw disk into a qcow2 with a backing file',
        }),
        visibility: Type.Optional(Type.Union([Type.Literal('private'), Type.Literal('public')])),
        defaultUser: Type.Optional(Type.String({ pattern: '^[a-z_][a-z0-9_-]{0,31}$' })),
        minimumMemoryMib: Type.Optional(Type.Integer({ minimum: 0 })),
        warmable: Type.Optional(
          Type.Boolean({
            default: false,
            description: 'its guests have /usr/libexec/virga/fork-identity, and can be copied while they run',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    ok: Changed,
    status: 202,
  }),
  deleteImage: route({
    method: 'DELETE',
    path: '/v1/images/{id}',
    summary: 'Delete an image that no instance is cloned from',
    access: { scope: 'project', role: 'operator' },
    params: idParams('image'),
    ok: Changed,
    status: 202,
  }),
};

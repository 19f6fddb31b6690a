// Bringing images in from elsewhere: by an address, from the catalog, or sent by the caller. What comes is hostile until proven
// otherwise; what is kept of a disk is a plain qcow2, made of it.
import { type Static, Type } from 'typebox';
import { ImageChecksum, StatedFormat } from '../agent/image-source.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { Image, ImageKind } from './images.ts';
import { idParams, Name, Nullable } from './shared.ts';

/** Architectures as the makers of images name them. */
export const Architecture = Type.Union([Type.Literal('amd64'), Type.Literal('arm64')]);
export type Architecture = Static<typeof Architecture>;

const WebAddress = Type.String({ pattern: '^https?://[^\\s]+$', maxLength: 2048 });
const Algorithm = Type.Union([Type.Literal('sha256'), Type.Literal('sha512')]);

export const ChecksumList = Type.Object(
  {
    url: Type.String({ ...WebAddress, description: 'a file like SHA256SUMS, GNU or BSD style' }),
    algorithm: Algorithm,
    signature: Type.Optional(
      Type.Object(
        {
          url: Type.Optional(Type.String({ ...WebAddress, description: 'absent: the list is signed within itself' })),
          fingerprint: Type.String({ pattern: '^[0-9A-F]{40}$', description: 'of the key, 40 hexadecimal digits' }),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type ChecksumList = Static<typeof ChecksumList>;

export const CatalogImage = Type.Object(
  {
    name: Name,
    title: Type.String({ maxLength: 100 }),
    version: Type.String({ maxLength: 40 }),
    architecture: Architecture,
    url: WebAddress,
    format: StatedFormat,
    checksums: Nullable(ChecksumList),
    defaultUser: Type.String({ pattern: '^[a-z_][a-z0-9_-]{0,31}$' }),
    minimumMemoryMib: Type.Integer({ minimum: 0 }),
    origin: Type.Union([Type.Literal('built-in'), Type.Literal('administrator')], {
      description: 'whether it comes with Virga, or stands in the catalog file of an administrator',
    }),
    hasKey: Type.Boolean({ description: 'a signature is published, and the key to check it is here' }),
  },
  { $id: 'CatalogImage' },
);
export type CatalogImage = Static<typeof CatalogImage>;

const described = {
  name: Type.Optional(Name),
  kind: Type.Optional(Type.Unsafe<ImageKind>({ ...ImageKind, default: 'disk' })),
  format: Type.Optional(
    Type.Unsafe<Static<typeof StatedFormat>>({
      ...StatedFormat,
      default: 'detect',
      description:
        'of the file, inside of what compresses it. detect: by its header, which has to be clear about it; other ' +
        'programs never guess',
    }),
  ),
  visibility: Type.Optional(
    Type.Union([Type.Literal('private'), Type.Literal('public')], {
      default: 'private',
      description: 'public: every project sees it; needs the cloud role admin',
    }),
  ),
  defaultUser: Type.Optional(Type.String({ pattern: '^[a-z_][a-z0-9_-]{0,31}$' })),
  minimumMemoryMib: Type.Optional(Type.Integer({ minimum: 0 })),
};

const ImportImage = Type.Object(
  {
    ...described,
    source: Type.Union([
      Type.Object(
        {
          url: WebAddress,
          checksum: Type.Optional(ImageChecksum),
          checksumList: Type.Optional(ChecksumList),
        },
        { additionalProperties: false },
      ),
      Type.Object({ catalog: Name, architecture: Type.Optional(Architecture) }, { additionalProperties: false }),
    ]),
  },
  { additionalProperties: false },
);
export type ImportImage = Static<typeof ImportImage>;

const UploadImage = Type.Object(
  {
    ...described,
    name: Name,
    sizeBytes: Type.Integer({ minimum: 1, description: 'of the whole file' }),
    checksum: Type.Optional(ImageChecksum),
  },
  { additionalProperties: false },
);
export type UploadImage = Static<typeof UploadImage>;

export const ImageUpload = Type.Object(
  {
    imageId: IdSchema('image'),
    receivedBytes: Type.Integer({ description: 'the next part begins here' }),
    sizeBytes: Type.Integer(),
    operationId: Nullable(IdSchema('operation')),
  },
  { $id: 'ImageUpload' },
);
export type ImageUpload = Static<typeof ImageUpload>;

const Changed = Type.Object({ image: Image, operationId: IdSchema('operation') });

export const imageImportRoutes = {
  listCatalog: route({
    method: 'GET',
    path: '/v1/image-catalog',
    summary: 'List the images that can be imported by name',
    access: { scope: 'project', role: 'viewer' },
    ok: Type.Object({ items: Type.Array(CatalogImage) }),
  }),
  importImage: route({
    method: 'POST',
    path: '/v1/images/import',
    summary: 'Import an image by an address, or from the catalog',
    access: { scope: 'project', role: 'operator' },
    body: ImportImage,
    ok: Changed,
    status: 202,
  }),
  uploadImage: route({
    method: 'POST',
    path: '/v1/images/upload',
    summary: 'Announce an image that is to be sent',
    access: { scope: 'project', role: 'operator' },
    body: UploadImage,
    ok: Image,
    status: 201,
  }),
  getImageUpload: route({
    method: 'GET',
    path: '/v1/images/{id}/upload',
    summary: 'Show how much of an image has been sent',
    access: { scope: 'project', role: 'operator' },
    params: idParams('image'),
    ok: ImageUpload,
  }),
  sendImage: route({
    method: 'PUT',
    path: '/v1/images/{id}/upload',
    summary: 'Send an image, or a part of it; the last part starts its import',
    access: { scope: 'project', role: 'operator' },
    params: idParams('image'),
    query: Type.Object({
      offsetBytes: Type.Integer({ minimum: 0, description: 'where the part begins: how much has been received' }),
    }),
    content: 'octets',
    ok: ImageUpload,
  }),
  cancelImageImport: route({
    method: 'POST',
    path: '/v1/images/{id}/cancel-import',
    summary: 'Cancel the import of an image; nothing of it stays',
    access: { scope: 'project', role: 'operator' },
    params: idParams('image'),
    ok: Image,
  }),
  updateImage: route({
    method: 'PATCH',
    path: '/v1/images/{id}',
    summary: 'Share an image with every project, which needs the cloud role admin, or stop that',
    access: { scope: 'project', role: 'operator' },
    params: idParams('image'),
    body: Type.Object(
      { visibility: Type.Union([Type.Literal('private'), Type.Literal('public')]) },
      { additionalProperties: false },
    ),
    ok: Changed,
    status: 202,
  }),
};

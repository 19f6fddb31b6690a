// Where an image comes from, and what was found out about that. What a host downloads or is sent it holds for hostile.
import { type Static, Type } from 'typebox';

/** What an image file can be; all but an ISO image is kept as qcow2. `ova`: a tar archive with a descriptor and one disk. */
export const ImageFormat = Type.Union([
  Type.Literal('raw'),
  Type.Literal('qcow2'),
  Type.Literal('vmdk'),
  Type.Literal('vhdx'),
  Type.Literal('vdi'),
  Type.Literal('ova'),
]);
export type ImageFormat = Static<typeof ImageFormat>;

/** `detect`: by the file's own header, which has to be clear about it. */
export const StatedFormat = Type.Union([...ImageFormat.anyOf, Type.Literal('detect')]);
export type StatedFormat = Static<typeof StatedFormat>;

export const ImageChecksum = Type.Object(
  {
    algorithm: Type.Union([Type.Literal('sha256'), Type.Literal('sha512')]),
    value: Type.String({ pattern: '^([0-9a-f]{64}|[0-9a-f]{128})$', description: 'in hexadecimal, lower case' }),
  },
  { additionalProperties: false },
);
export type ImageChecksum = Static<typeof ImageChecksum>;

/**
 * A list of checksums at an address: `SHA256SUMS` and the like, or of the BSD kind. `signature`: who has signed the list,
 * in another file or, without a `url`, around the list itself; the host is given the keyring, if there is one.
 */
export const ImageChecksumList = Type.Object({
  url: Type.String(),
  algorithm: Type.Union([Type.Literal('sha256'), Type.Literal('sha512')]),
  signature: Type.Optional(
    Type.Object({
      url: Type.Optional(Type.String()),
      fingerprint: Type.String({ pattern: '^[0-9A-F]{40}$' }),
      keyring: Type.Optional(Type.String({ description: 'base64' })),
    }),
  ),
});
export type ImageChecksumList = Static<typeof ImageChecksumList>;

export const ImageLimits = Type.Object({
  /** Of the file, of what is unpacked from it, and of what is made of it. */
  maximumFileBytes: Type.Integer(),
  maximumVirtualBytes: Type.Integer(),
  maximumSeconds: Type.Integer(),
});
export type ImageLimits = Static<typeof ImageLimits>;

const FileSource = Type.Object({ kind: Type.Literal('file'), path: Type.String() });

export const DownloadSource = Type.Object({
  kind: Type.Literal('download'),
  url: Type.String(),
  format: StatedFormat,
  checksum: Type.Optional(ImageChecksum),
  checksumList: Type.Optional(ImageChecksumList),
  limits: ImageLimits,
  /** Beyond what no download may reach: addresses that an administrator allows, and what the cloud has itself. */
  networks: Type.Object({ allowed: Type.Array(Type.String()), refused: Type.Array(Type.String()) }),
});
export type DownloadSource = Static<typeof DownloadSource>;

/** What was sent with `receiveImage`. */
export const UploadSource = Type.Object({
  kind: Type.Literal('upload'),
  sizeBytes: Type.Integer(),
  format: StatedFormat,
  checksum: Type.Optional(ImageChecksum),
  limits: ImageLimits,
});
export type UploadSource = Static<typeof UploadSource>;

export const ImageSource = Type.Union([FileSource, DownloadSource, UploadSource]);
export type ImageSource = Static<typeof ImageSource>;

/** What was found out about the origin of a file. `no-key`: there is a signature, and no key here to check it with. */
export const ImageVerification = Type.Object({
  checksum: Type.Union([Type.Literal('matched'), Type.Literal('none')]),
  signature: Type.Union([Type.Literal('good'), Type.Literal('no-key'), Type.Literal('none')]),
  /** Of the file as it came. */
  sha256: Type.String(),
  sizeBytes: Type.Integer(),
  /** What the file was. */
  format: ImageFormat,
  signedBy: Type.Optional(Type.String({ description: 'fingerprint of the key' })),
});
export type ImageVerification = Static<typeof ImageVerification>;

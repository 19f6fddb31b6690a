// The objects that libvirt names in messages, as handles: plain values that stay valid across connections. Declared once
// here; encoders, decoders and types derive from the declarations.
import { maxStringBytes } from '../wire/message.ts';
import { type Infer, int, optional, string, struct, uuid } from '../xdr/schema.ts';

export const text = string(maxStringBytes);
export const optionalText = optional(text);

/** Most objects a list call may return. */
export const maxListLength = 16_384;

export const domain = struct({ name: text, uuid, id: int });
/** A domain. `id` is the number of its running process, -1 when it is off; `uuid` is what identifies it. */
export type DomainRef = Readonly<Infer<typeof domain>>;

export const network = struct({ name: text, uuid });
export type NetworkRef = Readonly<Infer<typeof network>>;

export const storagePool = struct({ name: text, uuid });
export type StoragePoolRef = Readonly<Infer<typeof storagePool>>;

export const volume = struct({ pool: text, name: text, key: text });
/** A volume. For directory pools `key` is its path. */
export type VolumeRef = Readonly<Infer<typeof volume>>;

export const nodeDevice = struct({ name: text });
export type NodeDeviceRef = Readonly<Infer<typeof nodeDevice>>;

export const secret = struct({ uuid, usageType: int, usageId: text });
/** A secret. `usageType` is libvirt's number: 0 none, 1 volume, 2 ceph, 3 iscsi, 4 tls, 5 vtpm. */
export type SecretRef = Readonly<Infer<typeof secret>>;

export const snapshot = struct({ name: text, domain });
export type SnapshotRef = Readonly<Infer<typeof snapshot>>;

export const checkpoint = struct({ name: text, domain });
export type CheckpointRef = Readonly<Infer<typeof checkpoint>>;

export const remoteError = struct({
  code: int,
  domain: int,
  message: optionalText,
  level: int,
  object: optional(domain),
  string1: optionalText,
  string2: optionalText,
  string3: optionalText,
  int1: int,
  int2: int,
  network: optional(network),
});

// Resource ids: a short kind prefix and 17 hexadecimal digits, shaped like EC2's so that every front shares them.
// Ids are opaque to callers; only the prefix has a meaning. Randomness is injected, so tests can be repeatable.
import { Type } from 'typebox';

/** Prefix of each kind of id. A kind is added here first. */
export const idPrefix = {
  instance: 'i',
  image: 'ami',
  keyPair: 'key',
  network: 'net',
  networkInterface: 'eni',
  volume: 'vol',
  host: 'host',
  project: 'proj',
  user: 'user',
  operation: 'op',
  schedule: 'sched',
  template: 'tmpl',
  benchmark: 'bench',
  backupStore: 'bks',
  backup: 'bak',
  restore: 'rest',
  pool: 'pool',
  snapshot: 'snap',
} as const;

export type IdKind = keyof typeof idPrefix;

/** An id of one kind. Branded by its literal prefix: an image id does not pass for an instance id. */
export type Id<K extends IdKind> = `${(typeof idPrefix)[K]}-${string}`;

export type InstanceId = Id<'instance'>;
export type ImageId = Id<'image'>;
export type KeyPairId = Id<'keyPair'>;
export type NetworkId = Id<'network'>;
export type NetworkInterfaceId = Id<'networkInterface'>;
export type VolumeId = Id<'volume'>;
export type HostId = Id<'host'>;
export type ProjectId = Id<'project'>;
export type UserId = Id<'user'>;
export type OperationId = Id<'operation'>;
export type ScheduleId = Id<'schedule'>;
export type TemplateId = Id<'template'>;
export type BenchmarkId = Id<'benchmark'>;
export type BackupStoreId = Id<'backupStore'>;
export type BackupId = Id<'backup'>;
export type RestoreId = Id<'restore'>;
export type PoolId = Id<'pool'>;
export type SnapshotId = Id<'snapshot'>;

const digits = 17;

/**
 * Makes a fresh id.
 * @param random fills an array of bytes; default the operating system's generator
 */
export function newId<K extends IdKind>(kind: K, random: (bytes: Uint8Array<ArrayBuffer>) => void = fillRandom): Id<K> {
  const bytes = new Uint8Array(9);
  random(bytes);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${idPrefix[kind]}-${hex.slice(0, digits)}` as Id<K>;
}

/** True when `text` is a well-formed id of that kind. */
export function isId<K extends IdKind>(kind: K, text: string): text is Id<K> {
  return new RegExp(idPattern(kind)).test(text);
}

/** TypeBox schema of an id of that kind, typed as the branded string. */
export function IdSchema<K extends IdKind>(kind: K) {
  return Type.Unsafe<Id<K>>(Type.String({ pattern: idPattern(kind) }));
}

function idPattern(kind: IdKind): string {
  return `^${idPrefix[kind]}-[0-9a-f]{${digits}}$`;
}

function fillRandom(bytes: Uint8Array<ArrayBuffer>): void {
  crypto.getRandomValues(bytes);
}

// The disks of a host as its kernel shows them: what kind each is, how it is scheduled, and whether what it has acknowledged
// outlives a power cut. Observed, never configured.
import { type Static, Type } from 'typebox';

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);

/** `virtual`: a disk that another hypervisor or a cloud shows to this machine. */
export const BlockDeviceClass = Type.Union([
  Type.Literal('nvme'),
  Type.Literal('ssd'),
  Type.Literal('rotating'),
  Type.Literal('virtual'),
]);
export type BlockDeviceClass = Static<typeof BlockDeviceClass>;

/** `write back`: a write is acknowledged while it is only in the cache of the device. */
export const WriteCache = Type.Union([Type.Literal('write back'), Type.Literal('write through')]);
export type WriteCache = Static<typeof WriteCache>;

export const BlockDevice = Type.Object({
  name: Type.String({ description: 'as in /sys/block, such as sda or nvme0n1' }),
  class: BlockDeviceClass,
  sizeBytes: Type.Integer(),
  vendor: Nullable(Type.String()),
  model: Nullable(Type.String()),
  rotational: Type.Boolean(),
  scheduler: Type.Object({
    /** As its kernel names them: none, mq-deadline, bfq, kyber; noop, deadline, cfq on kernels before 5.0. */
    available: Type.Array(Type.String()),
    chosen: Nullable(Type.String()),
  }),
  writeCache: Nullable(WriteCache),
  controller: Nullable(Type.String({ description: 'driver of the RAID controller that it is behind' })),
  /** What rests on it, such as md0 or dm-0, through any number of layers. */
  usedBy: Type.Array(Type.String()),
});
export type BlockDevice = Static<typeof BlockDevice>;

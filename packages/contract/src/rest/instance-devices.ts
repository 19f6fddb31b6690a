// Volumes, network interfaces and limits of an instance.
import { type Static, Type } from 'typebox';
import { DiskDriver, DiskLimits, NicLimits } from '../agent/desired.ts';
import { IdSchema } from '../ids.ts';
import { Name, Nullable } from './shared.ts';

/** Volumes and network interfaces together. */
export const maxDevices = 16;
/** As many more of them as a guest can be given between two starts: each takes a port, which costs at every boot. */
export const maxHotPlugged = 6;

export const DeviceState = Type.Union([
  Type.Literal('attaching', { description: 'asked for, not in the guest yet' }),
  Type.Literal('attached'),
  Type.Literal('detaching', { description: 'the guest still has it' }),
]);
export type DeviceState = Static<typeof DeviceState>;

export const NetworkInterface = Type.Object({
  id: IdSchema('networkInterface'),
  networkId: IdSchema('network'),
  networkName: Name,
  mac: Type.String(),
  address: Type.String(),
  state: DeviceState,
  limits: Nullable(NicLimits),
});
export type NetworkInterface = Static<typeof NetworkInterface>;

export const AttachedVolume = Type.Object({
  id: IdSchema('volume'),
  name: Name,
  sizeBytes: Type.Integer(),
  target: Type.String({ description: 'its place, such as vdc; the guest finds it by its serial, the id without dash' }),
  readOnly: Type.Boolean(),
  state: DeviceState,
  limits: Nullable(DiskLimits),
  driver: Nullable(DiskDriver),
});
export type AttachedVolume = Static<typeof AttachedVolume>;

/** Fields of an instance. */
export const deviceFields = {
  rootDiskId: IdSchema('volume'),
  rootDiskLimits: Nullable(DiskLimits),
  /** As of its next start. Null, as what is left out: as its host does it best and safely. */
  rootDiskDriver: Nullable(DiskDriver),
  /** Null: in the host's own storage. */
  rootPoolId: Nullable(IdSchema('pool')),
  rootPoolName: Nullable(Type.String()),
  rootDiskMove: Nullable(
    Type.Object(
      { poolId: IdSchema('pool'), poolName: Type.String(), operationId: IdSchema('operation') },
      { description: 'the pool that its root disk is on its way to' },
    ),
  ),
  volumes: Type.Array(AttachedVolume),
  networkInterfaces: Type.Array(NetworkInterface),
};

/** Fields of a launch. */
export const launchDevices = {
  pool: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 63,
      description: "id or name of the pool for its root disk; default that of the type, or the host's own storage",
    }),
  ),
  clone: Type.Optional(
    Type.Union([Type.Literal('linked'), Type.Literal('full')], {
      description: 'whether its root disk rests on the image, default linked, or is a full copy of it',
    }),
  ),
  rootDiskLimits: Type.Optional(DiskLimits),
  rootDiskDriver: Type.Optional(
    Type.Unsafe<DiskDriver>({ ...DiskDriver, description: 'what is left out is as the type has it' }),
  ),
};

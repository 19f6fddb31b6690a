// What a host reports back. Observations are facts at a moment; the control plane decides what they mean.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import { ObservedDrift } from './definition.ts';
import { ImageVerification } from './image-source.ts';

/**
 * `absent`: there is no domain; disk or seed may still be there (`leftovers`). `stopping`: waiting for the guest.
 * `hibernated`: off, its memory saved on the host's disk, from which the next start goes on.
 */
export const ObservedState = Type.Union([
  Type.Literal('running'),
  Type.Literal('paused'),
  Type.Literal('stopping'),
  Type.Literal('stopped'),
  Type.Literal('hibernated'),
  Type.Literal('absent'),
]);
export type ObservedState = Static<typeof ObservedState>;

/**
 * Why a domain is in its state, as libvirt knows it. `restored`: it goes on from saved memory. `guest-shutdown`: the guest powered itself off (also after an ACPI
 * request). `destroyed`: somebody cut it off. `crashed`, `failed`: QEMU died or could not start. `migrated`: it has come from
 * another host, or, when it is off or absent, has gone to one. `unknown`: not recorded, as after a restart of the host.
 */
export const ObservedReason = Type.Union([
  Type.Literal('booted'),
  Type.Literal('restored'),
  Type.Literal('guest-shutdown'),
  Type.Literal('destroyed'),
  Type.Literal('crashed'),
  Type.Literal('failed'),
  Type.Literal('suspended'),
  Type.Literal('storage-full'),
  Type.Literal('migrated'),
  Type.Literal('undefined'),
  Type.Literal('unknown'),
]);
export type ObservedReason = Static<typeof ObservedReason>;

export const ObservedInstance = Type.Object({
  id: IdSchema('instance'),
  cloudId: Type.String(),
  /** Generation that the domain's metadata carries; 0 when there is no domain. */
  generation: Type.Integer(),
  state: ObservedState,
  reason: ObservedReason,
  /** False when the domain runs but is no longer defined, or its disk or seed is missing. */
  intact: Type.Boolean(),
  /** True when files of the instance exist without a domain. */
  leftovers: Type.Boolean(),
  domainName: Type.String(),
  /** It is just going to another host, or coming from one: libvirt holds its memory still. Absent is false. */
  moving: Type.Optional(Type.Boolean()),
  /** What the guest has while it is on: its vCPUs, and its memory without what the balloon holds. */
  sizes: Type.Optional(Type.Object({ vcpus: Type.Integer(), memoryMib: Type.Integer() })),
  /** In the answer of `applyInstance`: what a guest was asked for in vain, each one sentence. */
  notes: Type.Optional(Type.Array(Type.String())),
  /** In the answer of `applyInstance`: somebody has changed the definition. Nothing was done before that is decided about. */
  drift: Type.Optional(ObservedDrift),
  /** In the answer of `applyInstance`: its definition was there once, was gone, and was made anew. Absent is false. */
  redefined: Type.Optional(Type.Boolean()),
  /** The domain was adopted: nothing of it is ours to remove. Absent is false. */
  adopted: Type.Optional(Type.Boolean()),
  /** It began as a copy of a template. Absent is false. */
  warm: Type.Optional(Type.Boolean()),
});
export type ObservedInstance = Static<typeof ObservedInstance>;

export const ObservedNetwork = Type.Object({
  id: IdSchema('network'),
  cloudId: Type.String(),
  generation: Type.Integer(),
  active: Type.Boolean(),
  leases: Type.Array(Type.Object({ mac: Type.String(), address: Type.String() })),
});
export type ObservedNetwork = Static<typeof ObservedNetwork>;

export const ObservedImage = Type.Object({
  id: IdSchema('image'),
  cloudId: Type.String(),
  virtualSizeBytes: Type.Integer(),
  fileSizeBytes: Type.Integer(),
  format: Type.Union([Type.Literal('qcow2'), Type.Literal('raw')]),
  sha256: Type.String(),
  /** Of one that was downloaded or sent. */
  verification: Type.Optional(ImageVerification),
  /** As it was last imported with. */
  keepsake: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});
export type ObservedImage = Static<typeof ObservedImage>;

/**
 * What `watch` streams. The first event after every (re)connection to the hypervisor is `ready` with all there is, and with
 * the boot of the host that it is of.
 */
export type AgentEvent =
  | { type: 'ready'; bootId: string; instances: ObservedInstance[]; networks: ObservedNetwork[] }
  | { type: 'unreachable'; detail: string; action: string }
  | { type: 'instance'; instance: ObservedInstance }
  /** Somebody has changed the definition of an instance. */
  | { type: 'drift'; id: ObservedInstance['id']; cloudId: string; drift: ObservedDrift }
  | { type: 'network-changed'; id: ObservedNetwork['id'] };

// Where the memory of a host is: what its guests were promised, what they really take of it, and what sharing saves. Figures
// are the kernel's own, read when they are asked for; what a kernel does not tell is null, never guessed.
import { type Static, Type } from 'typebox';
import type { InstanceId } from '../ids.ts';
import { IdSchema } from '../ids.ts';
import type { CallContext } from './call-context.ts';

/** Sizes of static huge pages that guests can have. */
export const HugePageKib = Type.Union([Type.Literal(2048), Type.Literal(1_048_576)]);
export type HugePageKib = Static<typeof HugePageKib>;

export const hugePageSizes: readonly HugePageKib[] = [2048, 1_048_576];

/** As people say it: 2 MiB, 1 GiB. */
export const hugePageName = (kib: HugePageKib): string => (kib === 2048 ? '2 MiB' : '1 GiB');

/** How many pages make up that much memory. */
export const hugePagesOf = (memoryMib: number, kib: HugePageKib): number => Math.ceil((memoryMib * 1024) / kib);

const kib = (description: string) => Type.Integer({ minimum: 0, description });
const knownKib = (description: string) =>
  Type.Union([Type.Integer({ minimum: 0, description }), Type.Null({ description: 'the host does not tell' })]);

/** Of a guest that is on. */
export const GuestMemory = Type.Object({
  id: IdSchema('instance'),
  cloudId: Type.String(),
  /** What it was asked to have. */
  promisedKib: kib('as it was asked for'),
  currentKib: kib('what the guest has: its memory less what the balloon took'),
  residentKib: knownKib('what its process really takes of the host, shared or not, without huge pages'),
  usableKib: knownKib('what the guest could use without swapping, as its balloon driver tells'),
  hugePagesKib: kib('static huge pages that it holds'),
  /** Of the memory that it has in common with the template it began as a copy of. */
  templateSharedKib: knownKib('what of it lies in the host only once for all copies'),
  templateSavedKib: knownKib('what it would take more without that'),
  mergedKib: knownKib('its pages that the kernel has merged with equal ones (KSM), each counted whole'),
  mergeable: Type.Boolean({ description: 'the kernel may merge its pages' }),
  hasBalloon: Type.Boolean({ description: 'its host can ask it to give memory back' }),
});
export type GuestMemory = Static<typeof GuestMemory>;

/** The kernel's samepage merging. Null figures: it has none. */
export const KsmState = Type.Object({
  running: Type.Boolean(),
  pagesToScan: Type.Integer({ description: 'in one go' }),
  fullScans: Type.Integer({ description: 'of all mergeable memory, since the host booted' }),
  sharedKib: kib('pages that others were merged into'),
  savedKib: kib('pages that are no longer needed'),
});
export type KsmState = Static<typeof KsmState>;

export const HostMemory = Type.Object({
  totalKib: kib('of the host'),
  availableKib: kib('what could be given to somebody without swapping'),
  swapUsedKib: kib('what has been written to swap'),
  ksm: Type.Union([KsmState, Type.Null()]),
  hugePages: Type.Array(Type.Object({ sizeKib: Type.Integer(), total: Type.Integer(), free: Type.Integer() })),
  guests: Type.Array(GuestMemory),
});
export type HostMemory = Static<typeof HostMemory>;

/** Memory of a host and of its guests. */
export interface MemoryKeeping {
  /** Measured now. Of instances of this cloud that are on. @throws HostUnavailable */
  hostMemory(cloudId: string, context?: CallContext): Promise<HostMemory>;

  /**
   * Asks the guest to do with that much of its memory, or gives it back up to what it was promised; what the instance is to
   * have does not change. Takes effect as the guest lets go of it. One that is off, or has no balloon, is left alone.
   * @returns whether the guest was asked
   */
  lendMemory(id: InstanceId, memoryMib: number, context?: CallContext): Promise<boolean>;
}

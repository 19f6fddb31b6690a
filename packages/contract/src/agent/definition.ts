// How the domain of an instance is defined: what is generated for it, what differs from that, and what was changed beside
// Virga.
import { type Static, Type } from 'typebox';
import type { InstanceId } from '../ids.ts';
import type { CallContext } from './call-context.ts';
import { type DesiredInstance, OverlayChange } from './desired.ts';

export type Definition = {
  /** What Virga generates; of an adopted instance, what its domain was when it was adopted. */
  generated: string;
  /** As libvirt will start it next, with secrets. */
  effective: string;
  overlay: OverlayChange[];
  /** What the overlay does to what is generated, as a unified diff. */
  diff: string;
  /** Changes of the overlay that no longer have a place, a sentence each; the others are in effect. */
  conflicts: string[];
};

/** `xml`: the whole definition, as it is to be. `changes`: the whole overlay. */
export type DefinitionEdit = { xml: string } | { changes: OverlayChange[] };

/** What an edit comes to. `diff`: from the definition as it is to what it will be. */
export type OverlayPlan = Pick<Definition, 'overlay' | 'diff' | 'conflicts'>;

/** A change that somebody made to a definition, that nobody has decided about. */
export const ObservedDrift = Type.Object({
  /** Of what was changed. A desired instance that says it is `settledDrift` may be defined over it. */
  hash: Type.String(),
  /** The overlay that keeps it. */
  overlay: Type.Array(OverlayChange),
  /** From what was defined to what was found, unified. */
  diff: Type.String(),
  /** What of it no overlay can keep, a sentence each. */
  conflicts: Type.Array(Type.String()),
});
export type ObservedDrift = Static<typeof ObservedDrift>;

/** The part of a host agent that looks after definitions. */
export interface DefinitionKeeping {
  /** @throws NotFound there is no domain */
  definition(id: InstanceId, context?: CallContext): Promise<Definition>;
  /** Changes that `watch` has not told, because nothing told the host; nobody has decided about them. */
  findDrifts(cloudId: string, context?: CallContext): Promise<{ id: InstanceId; drift: ObservedDrift }[]>;
  /**
   * What an edit comes to, checked by libvirt's schema and by libvirt itself. Changes nothing.
   * @throws InvalidArgument it cannot be read, it changes what is Virga's to say, or libvirt would not take it | NotFound
   */
  planOverlay(desired: DesiredInstance, edit: DefinitionEdit, context?: CallContext): Promise<OverlayPlan>;
}

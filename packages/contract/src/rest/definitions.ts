// How a domain is defined: what Virga generates, what differs from it, and what somebody changed beside it.
import { type Static, Type } from 'typebox';
import { Time } from './shared.ts';

/** `keep`: what was changed with virsh or virt-manager stays, as an overlay. `revert`: it is defined again at once. */
export const DriftPolicy = Type.Union([Type.Literal('keep'), Type.Literal('revert')]);
export type DriftPolicy = Static<typeof DriftPolicy>;

export const Drift = Type.Object(
  {
    seenAt: Time,
    action: Type.Union([
      Type.Literal('kept', { description: 'it is in the overlay now' }),
      Type.Literal('reverted', { description: 'the domain was defined as before' }),
    ]),
    diff: Type.String({ description: 'unified: from what Virga had defined to what was found' }),
  },
  { $id: 'Drift' },
);
export type Drift = Static<typeof Drift>;

// What a host is checked for: each check with its verdict, what was read, why it matters, and how it is repaired. Repairs are
// settings of the host, recorded like every other change of it, or something that only its administrator can do.
import { type Static, Type } from 'typebox';
import type { CallContext } from './call-context.ts';
import { HostChange } from './host-changes.ts';

/** From nothing to say to what keeps a cloud from its work. */
export const CheckVerdict = Type.Union([
  Type.Literal('not-applicable', { description: 'this kind of host has no such thing' }),
  Type.Literal('ok'),
  Type.Literal('advice', { description: 'works; could be better, or is needed for one purpose only' }),
  Type.Literal('warning', { description: 'works, but slower, with less isolation, or not for long' }),
  Type.Literal('failure', { description: 'what a cloud needs is not there' }),
]);
export type CheckVerdict = Static<typeof CheckVerdict>;

export const CheckReading = Type.Object({
  from: Type.String({ description: 'path or command line' }),
  value: Type.Union([Type.String(), Type.Null()], { description: 'what it said, shortened; null: nothing is there' }),
});
export type CheckReading = Static<typeof CheckReading>;

export const HostCheckResult = Type.Object({
  name: Type.String(),
  title: Type.String(),
  verdict: CheckVerdict,
  seen: Type.String({ description: 'one sentence' }),
  why: Type.String({ description: 'why it matters, one sentence' }),
  readings: Type.Array(CheckReading),
  /** What Virga would change on the host to repair it; nothing when it cannot, or need not. */
  repair: Type.Array(HostChange),
  /** What is left to the administrator, one sentence. */
  todo: Type.Union([Type.String(), Type.Null()]),
  /** A repair that Virga has made is in force. */
  repaired: Type.Boolean(),
});
export type HostCheckResult = Static<typeof HostCheckResult>;

export const HostCheckReport = Type.Object({ checks: Type.Array(HostCheckResult) }, { $id: 'HostCheckReport' });
export type HostCheckReport = Static<typeof HostCheckReport>;

/** Who has a repair in the record of changes. */
export const repairOwner = (check: string): string => `check:${check}`;

/** Every call fails with InvalidArgument when a check is named that there is none of, before anything is done. */
export interface HostChecking {
  /** Looks at the host now. @param names default all. A check that cannot look tells so as its verdict. */
  checkHost(names?: readonly string[], context?: CallContext): Promise<HostCheckReport>;
  /**
   * Makes the repairs of checks, as `checkHost` shows them: of these, or of none. A check that is well is left as it is.
   * Idempotent.
   * @returns what was changed
   * @throws HostSettingRefused the kernel refused a setting; all is as before
   */
  repairHost(names: readonly string[], context?: CallContext): Promise<HostChange[]>;
  /** Takes repairs back. @param names default all that were made. Idempotent. @returns what was changed */
  undoRepairs(names?: readonly string[], context?: CallContext): Promise<HostChange[]>;
}

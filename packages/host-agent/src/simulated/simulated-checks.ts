// Checks of a simulated host: those of a real one, all well but for what a test has put in. Held in memory only.
import type { CallContext } from '@virga/contract/agent/agent';
import type { HostChange } from '@virga/contract/agent/host-changes';
import type { CheckVerdict, HostChecking, HostCheckResult } from '@virga/contract/agent/host-checks';
import { chosenChecks } from '../host-checks/host-check-table.ts';
import type { Calls } from './call-steps.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** Something that a check finds. */
export type Trouble = {
  verdict: CheckVerdict;
  seen: string;
  todo?: string;
  /** Makes it well, and can be undone. */
  repair?: HostChange[];
};

export type CheckControls = {
  /** From now on the check of that name finds this; null: it is well. */
  setTrouble(check: string, trouble: Trouble | null): void;
};

type Health = { troubles: Map<string, Trouble>; repaired: Set<string> };
const healthOfHosts = new WeakMap<SimulatedHost, Health>();

function healthOf(host: SimulatedHost): Health {
  const known = healthOfHosts.get(host) ?? { troubles: new Map(), repaired: new Set() };
  healthOfHosts.set(host, known);
  return known;
}

export function simulatedChecks(host: SimulatedHost, calls: Calls): HostChecking {
  const run = <T>(
    method: string,
    names: readonly string[] | undefined,
    context: CallContext | undefined,
    work: () => T,
  ) => calls.run(method, names?.join(',') ?? '', context, work);
  const standing = (name: string): Trouble | undefined => {
    const { troubles, repaired } = healthOf(host);
    return repaired.has(name) ? undefined : troubles.get(name);
  };
  return {
    checkHost: (names, context) =>
      run('checkHost', names, context, () => ({
        checks: chosenChecks(names).map(({ name, title, why }): HostCheckResult => {
          const trouble = standing(name);
          return {
            name,
            title,
            why,
            verdict: trouble?.verdict ?? 'ok',
            seen: trouble?.seen ?? 'The host is simulated.',
            readings: [],
            repair: trouble?.repair ?? [],
            todo: trouble?.todo ?? null,
            repaired: healthOf(host).repaired.has(name),
          };
        }),
      })),
    repairHost: (names, context) =>
      run('repairHost', names, context, () =>
        chosenChecks(names).flatMap(({ name }) => {
          const repair = standing(name)?.repair ?? [];
          if (repair.length > 0) healthOf(host).repaired.add(name);
          return repair;
        }),
      ),
    undoRepairs: (names, context) =>
      run('undoRepairs', names, context, () => {
        const { troubles, repaired } = healthOf(host);
        return chosenChecks(names)
          .filter(({ name }) => repaired.delete(name))
          .flatMap(({ name }) => troubles.get(name)?.repair ?? [])
          .map((change) => ({ ...change, now: change.after, after: change.now }));
      }),
  };
}

export function checkControls(host: SimulatedHost): CheckControls {
  return {
    setTrouble: (check, trouble) => {
      const { troubles, repaired } = healthOf(host);
      repaired.delete(check);
      if (trouble === null) troubles.delete(check);
      else troubles.set(check, trouble);
    },
  };
}

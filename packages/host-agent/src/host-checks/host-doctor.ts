// Checks a host, repairs it and takes repairs back. Owns no state: what was repaired is in the record of changes of the host,
// each check's under an owner of its own. A check that fails to look is told as its verdict and hides no other one.

import type { HostChange, WantedSetting } from '@virga/contract/agent/host-changes';
import {
  type HostChecking,
  type HostCheckReport,
  type HostCheckResult,
  repairOwner,
} from '@virga/contract/agent/host-checks';
import { VirgaError } from '@virga/contract/errors';
import type { HostChanges } from '../host-changes/host-changes.ts';
import { readSetting, sameSetting } from '../host-changes/setting.ts';
import type { HostSystem } from '../host-system/host-system.ts';
import { type CheckedHost, type Finding, type HostCheck, Look } from './host-check.ts';
import { chosenChecks } from './host-check-table.ts';

export type DoctorOptions = { system: HostSystem; changes: HostChanges; host: CheckedHost };

export function hostDoctor({ system, changes, host }: DoctorOptions): HostChecking {
  const examineAll = async (checks: readonly HostCheck[]) => {
    const tuned = await tunedPlaces();
    return Promise.all(
      checks.map(async (check) => {
        const look = new Look(system, tuned);
        const finding = await check.look(look, host).catch(troubleOf);
        return { check, finding: respectTuning(look, finding), readings: look.readings };
      }),
    );
  };

  /** Where the host is as somebody else than its doctor wants it. */
  const tunedPlaces = async (): Promise<Set<string>> => {
    const owners = [...(await changes.owners())].filter(([owner]) => !owner.startsWith(repairOwner('')));
    const settings = owners.flatMap(([, wanted]) => wanted.map(({ setting }) => setting));
    const isSo = await Promise.all(
      settings.map(async (setting) => sameSetting(await readSetting(system, setting), setting)),
    );
    return new Set(settings.filter((_, index) => isSo[index]).map(({ path }) => path));
  };

  /** With what was set before for the same check: places that are well because of that stay as they are. */
  const wantedOf = (made: ReadonlyMap<string, WantedSetting[]>, { name }: HostCheck, { settings = [] }: Finding) => {
    const isNew = ({ setting }: WantedSetting) =>
      !settings.some(({ setting: other }) => other.kind === setting.kind && other.path === setting.path);
    return [...(made.get(repairOwner(name)) ?? []).filter(isNew), ...settings];
  };

  const resultOf = async (
    made: ReadonlyMap<string, WantedSetting[]>,
    { check, finding, readings }: Awaited<ReturnType<typeof examineAll>>[number],
  ): Promise<HostCheckResult> => ({
    name: check.name,
    title: check.title,
    verdict: finding.verdict,
    seen: finding.seen,
    why: check.why,
    readings,
    repair: finding.settings ? await changes.plan(repairOwner(check.name), wantedOf(made, check, finding)) : [],
    todo: finding.todo ?? null,
    repaired: made.has(repairOwner(check.name)),
  });

  return {
    async checkHost(names): Promise<HostCheckReport> {
      const chosen = chosenChecks(names);
      const made = await changes.owners();
      const examined = await examineAll(chosen);
      return { checks: await Promise.all(examined.map((one) => resultOf(made, one))) };
    },

    async repairHost(names): Promise<HostChange[]> {
      const chosen = chosenChecks(names);
      const before = await changes.owners();
      const examined = await examineAll(chosen);
      const repairs = examined
        .filter(({ finding }) => finding.settings !== undefined)
        .map(({ check, finding }) => ({ owner: repairOwner(check.name), wanted: wantedOf(before, check, finding) }));
      const done: HostChange[] = [];
      const begun: string[] = [];
      try {
        for (const { owner, wanted } of repairs) {
          begun.push(owner);
          done.push(...(await changes.apply(owner, wanted)));
        }
      } catch (error) {
        // The one that failed is as before by itself.
        for (const owner of begun.slice(0, -1).reverse()) await changes.apply(owner, before.get(owner) ?? []);
        throw error;
      }
      return done;
    },

    async undoRepairs(names): Promise<HostChange[]> {
      const chosen = names && new Set(chosenChecks(names).map(({ name }) => repairOwner(name)));
      const undone: HostChange[] = [];
      for (const owner of (await changes.owners()).keys()) {
        if (chosen ? chosen.has(owner) : owner.startsWith(repairOwner(''))) undone.push(...(await changes.undo(owner)));
      }
      return undone;
    },
  };
}

/**
 * Makes every repair again that the host has lost, as it loses values of its kernel when it starts anew where nothing reads
 * the files that repairs leave for that.
 */
export async function keepRepairs(changes: HostChanges): Promise<HostChange[]> {
  const kept: HostChange[] = [];
  for (const [owner, wanted] of await changes.owners()) {
    if (owner.startsWith(repairOwner(''))) kept.push(...(await changes.apply(owner, wanted)));
  }
  return kept;
}

/** A value that tuning chose is no trouble: it knows what the host is for. */
function respectTuning(look: Look, finding: Finding): Finding {
  const values = (finding.settings ?? []).flatMap(({ setting }) => (setting.kind === 'value' ? [setting.path] : []));
  if (values.length === 0 || !values.every((path) => look.isTuned(path))) return finding;
  return { verdict: 'ok', seen: `${values.join(', ')} ${values.length === 1 ? 'is' : 'are'} as this host was tuned.` };
}

function troubleOf(error: unknown): Finding {
  if (error instanceof VirgaError) return { verdict: 'failure', seen: error.detail, todo: error.action };
  return { verdict: 'warning', seen: `The check could not be made: ${(error as Error).message}.` };
}

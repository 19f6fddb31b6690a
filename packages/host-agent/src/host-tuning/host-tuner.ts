// Tuning of one host: plans it, makes it, and takes it back. Everything it changes goes through the record of host changes,
// as the owner `tuning`, so that it is undone exactly and outlives a process that dies. A call that fails has changed nothing.
import type { HostChange, WantedSetting } from '@virga/contract/agent/host-changes';
import type { DesiredTuning, HostTuning, TuningPlan, TuningSetting } from '@virga/contract/agent/host-tuning';
import { VirgaError } from '@virga/contract/errors';
import type { HostChanges } from '../host-changes/host-changes.ts';
import { SettingNotTaken } from '../host-changes/setting.ts';
import type { HostSystem } from '../host-system/host-system.ts';
import { KeyedLock } from '../keyed-lock.ts';
import { awaitingBoot, bootArguments, bootFile, grubFile, isInGrub, tellGrub } from './boot-arguments.ts';
import { ruledWishes } from './host-rules.ts';
import { compactMemory, pagesNotGiven, requireMemory } from './huge-pages.ts';
import { filesOf } from './lasting-files.ts';
import { knobPlaces, type Place } from './places.ts';
import { type TunedSetting, tunedSettings } from './tuned-settings.ts';
import { fieldOf, type Wishes, wishesOf } from './wishes.ts';

export const tuningOwner = 'tuning';

const mergeAcrossNodes = '/sys/kernel/mm/ksm/merge_across_nodes';
const ksmRun = '/sys/kernel/mm/ksm/run';
const ksmPages = '/sys/kernel/mm/ksm/pages_to_scan';
const ksmAdvisor = '/sys/kernel/mm/ksm/advisor_mode';

type Resolved = { wanted: WantedSetting[]; settings: TunedSetting[]; places: Place[]; boot: string[]; notes: string[] };

export class HostTuner implements HostTuning {
  private readonly system: HostSystem;
  private readonly changes: HostChanges;
  private readonly lock = new KeyedLock();

  constructor({ system, changes }: { system: HostSystem; changes: HostChanges }) {
    this.system = system;
    this.changes = changes;
  }

  async planTuning(desired: DesiredTuning | null): Promise<TuningPlan> {
    return this.plan(await this.resolve(desired));
  }

  async observedTuning(inForce: DesiredTuning | null): Promise<TuningPlan> {
    return this.plan(await this.resolveAgain(inForce));
  }

  applyTuning(desired: DesiredTuning | null): Promise<{ changes: HostChange[]; notes: string[] }> {
    return this.apply(() => this.resolve(desired));
  }

  keepTuning(inForce: DesiredTuning): Promise<{ changes: HostChange[]; notes: string[] }> {
    return this.apply(() => this.resolveAgain(inForce));
  }

  private async plan({ wanted, settings, places, boot, notes }: Resolved): Promise<TuningPlan> {
    const tuned = new Map(settings.map((setting) => [setting.place, setting]));
    return {
      settings: places.map((place) => settingOf(place, tuned.get(place))),
      changes: await this.changes.plan(tuningOwner, wanted),
      notes,
      atNextBoot: await awaitingBoot(this.system, boot),
    };
  }

  private apply(resolve: () => Promise<Resolved>): Promise<{ changes: HostChange[]; notes: string[] }> {
    return this.lock.run(tuningOwner, async () => {
      const { wanted, settings, notes, boot } = await resolve();
      const before = (await this.changes.owners()).get(tuningOwner) ?? [];
      await requireMemory(this.system, settings);
      const changes: HostChange[] = [];
      try {
        for (const phase of await this.phases(before, wanted)) await this.make(phase, changes);
        if (boot.length > 0 && !(await isInGrub(this.system, boot))) await this.tellGrub();
      } catch (error) {
        await this.goBack(before, changes, error);
        throw explained(error, settings);
      }
      return { changes: joined(changes), notes };
    });
  }

  /** Of what was applied before. What the host has no more is left out. */
  private async resolveAgain(inForce: DesiredTuning | null): Promise<Resolved> {
    const gone = new Set<string>();
    const notes: string[] = [];
    for (;;) {
      try {
        const resolved = await this.resolve(inForce, gone);
        return { ...resolved, notes: [...notes, ...resolved.notes] };
      } catch (error) {
        const knob = inForce && refusedKnob(error, wishesOf(inForce));
        if (!knob || gone.has(knob)) throw error;
        gone.add(knob);
        notes.push(`${knob} is left out: ${(error as VirgaError).detail}`);
      }
    }
  }

  private async resolve(desired: DesiredTuning | null, gone: ReadonlySet<string> = new Set()): Promise<Resolved> {
    const places = await knobPlaces(this.system);
    if (desired === null) return { wanted: [], settings: [], places, boot: [], notes: [] };
    const wishes = new Map([...wishesOf(desired)].filter(([knob]) => !gone.has(knob)));
    const originals = new Map(
      (await this.changes.originals()).flatMap((one) => (one.kind === 'value' ? [[one.path, one.value]] : [])),
    );
    const ruled = await ruledWishes(this.system, places, wishes, (path) => originals.get(path));
    const tuned = tunedSettings(places, ruled.wishes);
    const boot = await bootArguments(this.system, ruled.wishes, tuned.settings);
    const lasting = await filesOf(this.system, tuned.settings, ruled.wishes, places);
    const values = tuned.settings.map(
      ({ place, wish, value }): WantedSetting => ({
        setting: { kind: 'value', path: place.path, value },
        why: wish.why,
      }),
    );
    return {
      ...tuned,
      places,
      boot,
      wanted: [...values, ...lasting.files, ...(boot.length > 0 ? [bootFile(boot)] : [])],
      notes: [...ruled.notes, ...tuned.notes, ...lasting.notes],
    };
  }

  /** What is set in turn, the last being all that is wanted: some places of the kernel can only be set after others. */
  private async phases(before: WantedSetting[], wanted: WantedSetting[]): Promise<WantedSetting[][]> {
    const phases: WantedSetting[][] = [];
    const planned = await this.changes.plan(tuningOwner, wanted);
    const isMerged = Number((await this.system.read('/sys/kernel/mm/ksm/pages_shared')) ?? 0) > 0;
    if (isMerged && planned.some(({ path }) => path === mergeAcrossNodes)) {
      // Refused while anything is merged.
      phases.push([...without(before, ksmRun), unmerge]);
    }
    if (has(before, ksmAdvisor) && has(wanted, ksmPages)) phases.push(without(wanted, ksmPages));
    // Without its file GRUB is told before the record forgets that there was one.
    if (has(before, grubFile) && !has(wanted, grubFile)) phases.push([...wanted, bootFile([])]);
    return [...phases, wanted];
  }

  private async make(phase: WantedSetting[], made: HostChange[]): Promise<void> {
    const set = () => this.changes.apply(tuningOwner, phase);
    const changes = await set().catch(async (error) => {
      if (pagesNotGiven(error) === undefined || !(await compactMemory(this.system))) throw error;
      return set();
    });
    made.push(...changes);
    const boot = phase.find(({ setting }) => setting.path === grubFile)?.setting;
    if (boot?.kind !== 'file') return;
    // A process may have died between taking the file away and this.
    if (boot.content === null || changes.some(({ path }) => path === grubFile)) await this.tellGrub();
  }

  private async tellGrub(): Promise<void> {
    try {
      await tellGrub(this.system);
    } catch (cause) {
      throw new VirgaError('HostSettingRefused', {
        detail: 'GRUB did not take the kernel command line: update-grub failed on the host.',
        action: 'Run update-grub there by hand to see why.',
        cause,
      });
    }
  }

  /** After a failure: as it was before the first phase. */
  private async goBack(before: WantedSetting[], made: readonly HostChange[], error: unknown): Promise<void> {
    if (made.length === 0) return;
    try {
      await this.changes.apply(tuningOwner, before);
      if (made.some(({ path }) => path === grubFile)) await tellGrub(this.system).catch(() => undefined);
    } catch (alsoFailed) {
      throw new AggregateError([error, alsoFailed], `${(error as Error).message} ${(alsoFailed as Error).message}`);
    }
  }
}

const unmerge: WantedSetting = {
  setting: { kind: 'value', path: ksmRun, value: '2' },
  why: 'Merged pages are taken apart, so that nodes can be told apart.',
};

const has = (wanted: readonly WantedSetting[], path: string): boolean =>
  wanted.some(({ setting }) => setting.path === path);
const without = (wanted: readonly WantedSetting[], path: string): WantedSetting[] =>
  wanted.filter(({ setting }) => setting.path !== path);

const shown: Record<string, Record<string, string>> = {
  ksm: { 0: 'off', 1: 'on', 2: 'unmerge' },
  ksmAcrossNodes: { 0: 'off', 1: 'on' },
};

function settingOf({ knob, path, now }: Place, tuned: TunedSetting | undefined): TuningSetting {
  const text = (value: string): string => shown[knob]?.[value] ?? value;
  return {
    knob,
    path,
    now: text(now),
    wanted: tuned === undefined ? null : text(tuned.value),
    by: tuned?.wish.by ?? null,
    why: tuned?.wish.why ?? '',
  };
}

/** Of what several phases changed, the first that was there and the last that is. */
function joined(changes: readonly HostChange[]): HostChange[] {
  const byPlace = new Map<string, HostChange>();
  for (const change of changes) {
    const key = `${change.kind} ${change.path}`;
    const first = byPlace.get(key);
    byPlace.set(key, first === undefined ? change : { ...change, now: first.now });
  }
  return [...byPlace.values()].filter(({ now, after }) => now !== after);
}

function refusedKnob(error: unknown, wishes: Wishes): string | undefined {
  if (!(error instanceof VirgaError) || error.code !== 'HostSettingRefused') return undefined;
  return [...wishes.keys()].find((knob) => fieldOf(knob) === error.field);
}

/** Which knob of what was asked for the kernel refused. */
function explained(error: unknown, settings: readonly TunedSetting[]): unknown {
  if (!(error instanceof VirgaError) || !(error.cause instanceof SettingNotTaken)) return error;
  const pages = pagesNotGiven(error);
  if (pages !== undefined) return pages(settings);
  const { path } = error.cause.setting;
  const tuned = settings.find(({ place }) => place.path === path);
  if (tuned?.wish.by !== 'override') return error;
  const { detail, action, cause } = error;
  return new VirgaError('HostSettingRefused', { detail, action, field: fieldOf(tuned.wish.knob), cause });
}

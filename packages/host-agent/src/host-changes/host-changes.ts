// What was changed on this host, by whom, and what was there before: a record that is durable before anything is changed,
// so that everything can be undone exactly, whenever the process dies. Owns the record and the making of settings. Each
// place of the host has the settings of its owners in the order in which they came; the last one is in force, and without
// any the place is as it was before the first. A call that fails has changed nothing.
import { conforms } from '@virga/contract/agent/conforms';
import {
  ChangedPlaces,
  type HostChange,
  type HostSetting,
  type WantedSetting,
} from '@virga/contract/agent/host-changes';
import { VirgaError } from '@virga/contract/errors';
import type { HostSystem } from '../host-system/host-system.ts';
import { KeyedLock } from '../keyed-lock.ts';
import type { StepHook } from '../step-hook.ts';
import { type ChangeRecord, recordFile } from './change-record.ts';
import { makeSetting, readSetting, SettingNotTaken, sameSetting, settingText } from './setting.ts';

type Places = ChangedPlaces;
type Place = Places[string];

export type HostChangesOptions = {
  system: HostSystem;
  /** The file of the record, on this process's own file system; its folder is made. Or where else it is kept. */
  recordPath: string | ChangeRecord;
  /** Called as `record` before the record is written, and as `set` before each setting is made. */
  hook?: StepHook | undefined;
};

const keyOf = ({ kind, path }: Pick<HostSetting, 'kind' | 'path'>): string => `${kind} ${path}`;

export class HostChanges {
  private readonly options: HostChangesOptions;
  private readonly record: ChangeRecord;
  private readonly lock = new KeyedLock();

  constructor(options: HostChangesOptions) {
    this.options = options;
    const { recordPath } = options;
    this.record = typeof recordPath === 'string' ? recordFile(recordPath) : recordPath;
  }

  /** What `apply` would change now. @throws HostSettingRefused the host has no such place */
  async plan(owner: string, wanted: readonly WantedSetting[]): Promise<HostChange[]> {
    const places = await this.read();
    return this.changesTo(places, await this.wish(places, owner, wanted), owner);
  }

  /**
   * Makes the settings of an owner exactly these: new ones are made, those that it no longer wants are taken back, and what
   * somebody else has changed since is set right. Places come in the order of `wanted`; those that are none of this owner's
   * stay as they are. Idempotent.
   * @returns what was changed
   * @throws HostSettingRefused the host has no such place, or the kernel refused a setting; all is as before
   */
  apply(owner: string, wanted: readonly WantedSetting[]): Promise<HostChange[]> {
    return this.lock.run('record', async () => {
      const places = await this.read();
      const next = await this.wish(places, owner, wanted);
      const changes = await this.changesTo(places, next, owner);
      // Asked again and again, it costs no flush.
      if (changes.length === 0 && recordText(next) === recordText(places)) return [];
      // Durable before anything is made. Places that go are still ours until they are as before.
      await this.write(mapPlaces(next, (place, key) => (place.layers.length > 0 ? place : places[key]!)));
      const made: HostChange[] = [];
      try {
        for (const change of changes) {
          await this.options.hook?.('set', change.path);
          made.push(change);
          await this.make(next[keyOf(change)]!);
        }
      } catch (error) {
        await this.takeBack(places, made, error);
        throw error;
      }
      await this.write(next);
      return changes;
    });
  }

  /** Takes back all that an owner has set. @returns what was changed */
  undo(owner: string): Promise<HostChange[]> {
    return this.apply(owner, []);
  }

  /** Settings in force that somebody else has changed since: what `now` is, and what it should be. */
  async drift(): Promise<HostChange[]> {
    const places = await this.read();
    return this.changesTo(places, places);
  }

  /** Who has settings here, and which. */
  async owners(): Promise<Map<string, WantedSetting[]>> {
    const owners = new Map<string, WantedSetting[]>();
    for (const { layers } of Object.values(await this.read())) {
      for (const { owner, wanted } of layers) owners.set(owner, [...(owners.get(owner) ?? []), wanted]);
    }
    return owners;
  }

  /** What was at the places that are changed now, before the first change. */
  async originals(): Promise<HostSetting[]> {
    return Object.values(await this.read()).map(({ before }) => before);
  }

  /** The places as they should become; those with no owner left are as before and then leave the record. */
  private async wish(places: Places, owner: string, wanted: readonly WantedSetting[]): Promise<Places> {
    const next: Places = {};
    const byKey = new Map(wanted.map((one) => [keyOf(one.setting), one]));
    for (const [key, { before, layers }] of Object.entries(places)) {
      const mine = byKey.get(key);
      const others = layers.filter((layer) => layer.owner !== owner);
      const position = layers.findIndex((layer) => layer.owner === owner);
      if (mine !== undefined) others.splice(position < 0 ? others.length : position, 0, { owner, wanted: mine });
      next[key] = { before, layers: others };
    }
    for (const [key, one] of byKey) {
      if (next[key] !== undefined) continue;
      const before = await readSetting(this.options.system, one.setting);
      if (before === undefined) throw noSuchPlace(one.setting.path);
      next[key] = { before, layers: [{ owner, wanted: one }] };
    }
    const order = [...byKey.keys()];
    return Object.fromEntries(Object.entries(next).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)));
  }

  /** Where the host is not as it should be. A place that has gone with its device, and is to be as before, is no change. */
  private async changesTo(places: Places, next: Places, owner?: string): Promise<HostChange[]> {
    const changes: HostChange[] = [];
    const isOf = ({ layers }: Place) => owner === undefined || layers.some((layer) => layer.owner === owner);
    for (const [key, place] of Object.entries(next)) {
      if (!isOf(place) && !(places[key] && isOf(places[key]))) continue;
      const target = inForce(place);
      const now = await readSetting(this.options.system, target);
      if (sameSetting(now, target) || (now === undefined && place.layers.length === 0)) continue;
      const { kind, path } = target;
      const why = place.layers.at(-1)?.wanted.why ?? places[key]?.layers.at(-1)?.wanted.why ?? '';
      changes.push({ kind, path, now: settingText(now), after: settingText(target), why });
    }
    return changes;
  }

  private async make(place: Place): Promise<void> {
    const target = inForce(place);
    try {
      await makeSetting(this.options.system, target);
    } catch (cause) {
      throw refused(target, cause);
    }
  }

  /** After a failure: what was made is as the record said before. Where that fails too, the record still tells of it. */
  private async takeBack(places: Places, made: readonly HostChange[], error: unknown): Promise<void> {
    const record = await this.read();
    try {
      for (const change of [...made].reverse()) {
        const place = places[keyOf(change)] ?? { before: record[keyOf(change)]!.before, layers: [] };
        const target = inForce(place);
        // What the kernel refused is as it was, and may be refused again.
        if (sameSetting(await readSetting(this.options.system, target), target)) continue;
        await makeSetting(this.options.system, target).catch((cause) => {
          throw refused(target, cause);
        });
      }
      await this.write(places);
    } catch (alsoFailed) {
      throw new AggregateError([error, alsoFailed], `${(error as Error).message} ${(alsoFailed as Error).message}`);
    }
  }

  private async read(): Promise<Places> {
    const text = await this.record.read();
    if (text === undefined) return {};
    const places: unknown = JSON.parse(text);
    if (!conforms(ChangedPlaces, places)) throw new Error(`${this.record.name} is not a record of host changes`);
    return places;
  }

  private async write(places: Places): Promise<void> {
    await this.options.hook?.('record', this.record.name);
    await this.record.write(recordText(places));
  }
}

function recordText(places: Places): string {
  const kept = Object.fromEntries(Object.entries(places).filter(([, { layers }]) => layers.length > 0));
  return `${JSON.stringify(kept, null, 1)}\n`;
}

const mapPlaces = (places: Places, change: (place: Place, key: string) => Place): Places =>
  Object.fromEntries(Object.entries(places).map(([key, place]) => [key, change(place, key)]));

const inForce = ({ before, layers }: Place): HostSetting => layers.at(-1)?.wanted.setting ?? before;

const noSuchPlace = (path: string): VirgaError =>
  new VirgaError('HostSettingRefused', {
    detail: `The host has no ${path}.`,
    action: 'Leave this setting out: its kernel or its hardware does not have it.',
  });

function refused({ path }: HostSetting, cause: unknown): VirgaError {
  const notTaken = cause instanceof SettingNotTaken ? cause : undefined;
  const { code, message } = (notTaken?.cause ?? cause) as NodeJS.ErrnoException;
  return new VirgaError('HostSettingRefused', {
    detail:
      typeof notTaken?.instead === 'string'
        ? `The kernel of the host made ${notTaken.instead} of ${settingText(notTaken.setting)} in ${path}.`
        : `The kernel of the host refused ${path}: ${code ?? message}.`,
    action: 'Leave this setting out, or set by hand what it rests on.',
    cause,
  });
}

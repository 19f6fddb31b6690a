// From what is wanted to what is set where on this host. What a profile wants and the host does not have is left out with a
// note; what the administrator wants by name is refused then, before anything is changed. Changes nothing itself.
import { VirgaError } from '@virga/contract/errors';
import { hugePageKnobs, isSingleQueue, type Place } from './places.ts';
import { fieldOf, type Wish, type Wishes } from './wishes.ts';

export type TunedSetting = { place: Place; wish: Wish; value: string };
export type Tuned = { settings: TunedSetting[]; notes: string[] };

const words: Record<string, Record<string, string>> = {
  ksm: { off: '0', on: '1', unmerge: '2' },
  ksmAcrossNodes: { off: '0', on: '1' },
};

/** Schedulers of one queue, and what does the same for several. */
const kin: Record<string, string> = {
  none: 'noop',
  'mq-deadline': 'deadline',
  bfq: 'cfq',
  noop: 'none',
  deadline: 'mq-deadline',
  cfq: 'bfq',
};

/** @throws HostSettingRefused the administrator named what the host does not have */
export function tunedSettings(places: readonly Place[], wishes: Wishes): Tuned {
  const notes: string[] = [];
  const settings: TunedSetting[] = [];
  const used = new Set<string>();
  for (const place of places) {
    const wish = place.askedBy.map((knob) => wishes.get(knob)).find((found) => found !== undefined);
    if (wish === undefined) continue;
    for (const knob of place.askedBy) used.add(knob);
    const value = valueAt(place, wish);
    if (value !== undefined) settings.push({ place, wish, value });
    else {
      const [lacks, offers] = [
        `The host has no ${wish.values.join(' or ')} for ${place.path}`,
        place.offered?.join(', '),
      ];
      if (wish.by === 'override') throw refused(wish.knob, `${lacks}; it has ${offers}.`, 'Choose one of these.');
      notes.push(`${place.knob} is left as it is: ${lacks.replace('The', 'the')}.`);
    }
  }
  for (const { knob, by } of wishes.values()) {
    if (used.has(knob) || knob === 'hugePages1GibAtBoot') continue;
    if (by === 'override') {
      // A rule for a class of disks also counts for those that come later.
      if (/^ioScheduler\.(nvme|ssd|rotating|virtual)$/.test(knob)) continue;
      throw refused(knob, `The host has no ${knob}.`, 'Leave it out: its kernel or its hardware does not have it.');
    }
    // What stands in for the advisor is set then.
    if (!knob.startsWith('ioScheduler.') && knob !== 'ksmAdvisor')
      notes.push(`${knob} is left out: the host does not have it.`);
  }
  return { settings, notes };
}

function valueAt({ knob, offered, unwise = [], share }: Place, wish: Wish): string | undefined {
  const kind = knob.split('.')[0]!;
  const values = wish.values.map((value) => words[kind]?.[value] ?? value);
  if (kind in hugePageKnobs && share !== undefined && !wish.knob.includes('.')) {
    const total = Number(values[0]);
    return String(Math.floor(total / share.of) + (share.index < total % share.of ? 1 : 0));
  }
  if (offered === undefined) return values[0];
  const wise = wish.by === 'override' ? offered : offered.filter((one) => !unwise.includes(one));
  const exact = values.find((value) => wise.includes(value));
  return exact ?? (kind === 'ioScheduler' ? values.map(kinOf).find((value) => wise.includes(value)) : undefined);
}

const kinOf = (scheduler: string): string => kin[scheduler] ?? scheduler;

/** A scheduler as a class of disks has it on this host, also when it has no such disk now. */
export function schedulerName(wanted: string, places: readonly Place[]): string {
  const offers = places.flatMap(({ knob, offered = [] }) => (knob.startsWith('ioScheduler.') ? [offered] : []));
  const isOld = offers.length > 0 && offers.every((offered) => isSingleQueue(offered));
  const isOldName = ['noop', 'deadline', 'cfq'].includes(wanted);
  return isOld === isOldName ? wanted : kinOf(wanted);
}

export function refused(knob: string, detail: string, action: string, cause?: unknown): VirgaError {
  return new VirgaError('HostSettingRefused', { detail, action, field: fieldOf(knob), cause });
}

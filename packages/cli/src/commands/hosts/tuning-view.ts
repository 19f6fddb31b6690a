// Tuning of a host as people read it: every knob as it is and as it should be, and a plan as a difference with its reasons.
import type { HostChange } from '@virga/contract/agent/host-changes';
import type { DesiredTuning, TuningPlan, TuningSetting } from '@virga/contract/agent/host-tuning';
import type { TunedHost } from '@virga/contract/rest/host-tuning';
import { type Column, renderTable } from '../../output/table.ts';
import type { Terminal } from '../../output/terminal.ts';
import { changeText } from './host-check-view.ts';
import { knobName } from './tuning-knobs.ts';

const isOff = ({ now, wanted }: TuningSetting): boolean => wanted !== null && now !== wanted;

const columns: Column<TuningSetting>[] = [
  { header: 'KNOB', value: ({ knob }) => knobName(knob), essential: true, whole: true },
  { header: 'NOW', value: ({ now }) => now ?? '-', whole: true, style: (item) => (isOff(item) ? 'red' : undefined) },
  { header: 'WANTED', value: ({ wanted }) => wanted ?? '-', whole: true },
  { header: 'BY', value: ({ by }) => by ?? '-', whole: true },
  { header: 'WHY', value: ({ why }) => why },
];

export function tuningLines(tuning: TunedHost, seen: TuningPlan | null, terminal: Terminal): string[] {
  return [
    `${terminal.paint('bold', tuning.name)}: ${stateText(tuning)}`,
    ...(seen === null ? ['The host does not answer; what it has now cannot be shown.'] : []),
    ...(seen && seen.settings.length > 0 ? ['', renderTable(seen.settings, columns, terminal)] : []),
    ...(seen ? remarks(seen) : []),
    ...(seen ? beside(tuning, seen) : []),
  ];
}

/** What is not as this cloud has it. */
function beside({ state, inForce }: TunedHost, { changes }: TuningPlan): string[] {
  if (changes.length === 0 || state === 'pending') return [];
  if (inForce === null) {
    return ['', 'What an earlier tuning has set is in force, which this cloud does not know: virga hosts tune --undo.'];
  }
  const places = changes.length === 1 ? '1 place was' : `${changes.length} places were`;
  return [
    '',
    `${places} changed by something else, and will be set right: ${changes.map(({ path }) => path).join(', ')}`,
  ];
}

export function stateText({ state, desired, inForce, stateReason }: TunedHost): string {
  switch (state) {
    case 'none':
      return 'not tuned';
    case 'pending':
      return desired === null ? 'its tuning is being taken back' : `${profileText(desired)} is being applied`;
    case 'applied':
      return `${profileText(desired!)} is in force`;
    case 'failed':
      return `${inForce === null ? 'not tuned' : `${profileText(inForce)} is in force`}. ${stateReason}`;
  }
}

const profileText = ({ profile, overrides }: DesiredTuning): string => {
  const apart = Object.entries(overrides).flatMap(([key, value]) =>
    typeof value === 'object'
      ? Object.entries(value).map(([name, one]) => `${knobName(`${key}.${name}`)}=${one}`)
      : [`${knobName(key)}=${value}`],
  );
  return `${profile}${apart.length > 0 ? ` with ${apart.join(', ')}` : ''}`;
};

/** What would be changed, each with why; then what would not. */
export function planLines(plan: TuningPlan, host: string): string[] {
  const { changes } = plan;
  const head = changes.length === 0 ? `Nothing would be changed on ${host}.` : `On ${host} this would be changed:`;
  return [head, ...changes.flatMap((change) => changeText(brief(change))), ...remarks(plan)];
}

/** Of a file that is there before and after, only the lines that come or go. */
function brief(change: HostChange): HostChange {
  const { kind, now, after } = change;
  if (kind !== 'file' || now === null || after === null) return change;
  const [old, fresh] = [now.split('\n'), after.split('\n')];
  const without = (lines: string[], others: string[]) => lines.filter((line) => !others.includes(line)).join('\n');
  return { ...change, now: without(old, fresh) || null, after: without(fresh, old) || null };
}

const remarks = ({ notes, atNextBoot }: TuningPlan): string[] => [
  ...(notes.length + atNextBoot.length > 0 ? [''] : []),
  ...notes.map((note) => note.replace(/^\S+/, knobName)),
  ...(atNextBoot.length > 0 ? [`From the next start of the host on: ${atNextBoot.join(' ')}`] : []),
];

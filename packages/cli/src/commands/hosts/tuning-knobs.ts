// The knobs of host tuning as one types and reads them: ksm-pages=500, io-scheduler.sda=bfq, sysctl.vm.dirty_ratio=10.
import type { TuningOverrides } from '@virga/contract/agent/host-tuning';
import { VirgaError } from '@virga/contract/errors';
import { closest } from '../../closest.ts';

type Knob = keyof TuningOverrides;

/** What each is called, and what it is set to. */
const knobs = {
  ksm: { key: 'ksm', values: 'on, off or unmerge' },
  'ksm-pages': { key: 'ksmPages', values: 'pages a round' },
  'ksm-sleep-ms': { key: 'ksmSleepMs', values: 'milliseconds between rounds' },
  'ksm-across-nodes': { key: 'ksmAcrossNodes', values: 'on or off' },
  'ksm-advisor': { key: 'ksmAdvisor', values: 'none or scan-time' },
  thp: { key: 'thp', values: 'always, madvise or never' },
  'thp-defrag': { key: 'thpDefrag', values: 'always, defer, defer+madvise, madvise or never' },
  'khugepaged-pages': { key: 'khugepagedPages', values: 'pages a round' },
  'khugepaged-sleep-ms': { key: 'khugepagedSleepMs', values: 'milliseconds between rounds' },
  'huge-pages-2m': { key: 'hugePages2Mib', values: 'pages; huge-pages-2m.0 those of node 0' },
  'huge-pages-1g': { key: 'hugePages1Gib', values: 'pages; huge-pages-1g.0 those of node 0' },
  'huge-pages-1g-at-boot': { key: 'hugePages1GibAtBoot', values: 'pages' },
  swappiness: { key: 'swappiness', values: '0 to 200' },
  'cpu-governor': { key: 'cpuGovernor', values: 'such as performance' },
  'io-scheduler': { key: 'ioScheduler', values: 'io-scheduler.nvme, .ssd, .rotating, .virtual or of a disk: bfq' },
  sysctl: { key: 'sysctl', values: 'sysctl.NAME: a number' },
} as const satisfies Record<string, { key: Knob; values: string }>;

const names = Object.keys(knobs) as (keyof typeof knobs)[];
const groups = new Set<Knob>(['hugePages2Mib', 'hugePages1Gib', 'ioScheduler', 'sysctl']);
const groupsOnly = new Set<Knob>(['ioScheduler', 'sysctl']);

export const knobHelp = names.map((name) => `${name} (${knobs[name].values})`).join('; ');

/** From the name that the API has, such as ioScheduler.sda. */
export function knobName(knob: string): string {
  const [head, ...rest] = knob.split('.');
  const name = names.find((one) => knobs[one].key === head) ?? head!;
  return [name, ...rest].join('.');
}

/** @throws InvalidArgument one is no knob with a value */
export function readOverrides(texts: readonly string[]): TuningOverrides {
  const overrides: Record<string, unknown> = {};
  for (const text of texts) {
    const [, typed, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (typed === undefined || value === undefined) throw wrong(text, 'Write it as ksm-pages=500.');
    const [head, ...rest] = typed.split('.');
    const name = names.find((one) => one === head);
    if (name === undefined) {
      const near = closest(head!, names);
      throw wrong(text, near === undefined ? `Choose of ${names.join(', ')}.` : `Did you mean ${near}?`);
    }
    const { key } = knobs[name];
    if (rest.length > 0 ? !groups.has(key) : groupsOnly.has(key))
      throw wrong(text, `It is set as ${knobs[name].values}.`);
    const given = /^\d+$/.test(value) ? Number(value) : value;
    if (rest.length === 0) overrides[key] = given;
    else {
      const before = overrides[key];
      overrides[key] = { ...(typeof before === 'object' ? before : {}), [rest.join('.')]: given };
    }
  }
  // What each may be, the server knows.
  return overrides as TuningOverrides;
}

const wrong = (text: string, action: string): VirgaError =>
  new VirgaError('InvalidArgument', { detail: `--set ${text} is no knob with a value.`, action });

/** What is typed goes before what was there; of a group only its own part. */
export function mergedOverrides(before: TuningOverrides, typed: TuningOverrides): TuningOverrides {
  const merged: Record<string, unknown> = { ...before };
  for (const [key, value] of Object.entries(typed)) {
    const was = merged[key];
    merged[key] = typeof value === 'object' && typeof was === 'object' ? { ...was, ...value } : value;
  }
  return merged as TuningOverrides;
}

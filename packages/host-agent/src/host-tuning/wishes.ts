// What is wanted of each knob: what the profile says, and in place of it what the administrator says. Knows nothing of the
// host. A knob has its whole name here: ioScheduler.nvme, sysctl.vm.dirty_ratio, hugePages2Mib.0.
import { type DesiredTuning, keep } from '@virga/contract/agent/host-tuning';
import { profiles } from './profiles.ts';

export type Wish = {
  knob: string;
  /** In order of preference; the first that the host has is taken. */
  values: string[];
  why: string;
  by: 'profile' | 'override';
};

export type Wishes = ReadonlyMap<string, Wish>;

/** What the administrator wants is refused where the host does not have it; what a profile wants is left out. */
export function wishesOf({ profile, overrides }: DesiredTuning): Wishes {
  const wishes = new Map<string, Wish>();
  const { ioScheduler, sysctl, ...plain } = profiles[profile];
  for (const [prefix, choices] of Object.entries({ '': plain, 'ioScheduler.': ioScheduler, 'sysctl.': sysctl })) {
    for (const [name, { value, why }] of Object.entries(choices)) {
      const knob = `${prefix}${name}`;
      wishes.set(knob, { knob, values: [value].flat().map(String), why, by: 'profile' });
    }
  }
  for (const [knob, value] of flat(overrides)) {
    if (value === keep) wishes.delete(knob);
    else wishes.set(knob, { knob, values: [String(value)], why: 'Set by the administrator.', by: 'override' });
  }
  return wishes;
}

/** Where a knob stands in the desired tuning: ioScheduler.sda is /overrides/ioScheduler/sda. */
export function fieldOf(knob: string): string {
  const [group, ...rest] = knob.split('.');
  return `/overrides/${[group, ...(rest.length > 0 ? [rest.join('.')] : [])].join('/')}`;
}

function flat(overrides: DesiredTuning['overrides']): [knob: string, value: string | number][] {
  return Object.entries(overrides).flatMap(([knob, value]): [string, string | number][] =>
    typeof value === 'object'
      ? Object.entries(value).map(([name, one]) => [`${knob}.${name}`, one as string | number])
      : [[knob, value as string | number]],
  );
}

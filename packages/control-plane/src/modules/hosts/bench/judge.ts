// From what an agent has measured to what people are told: spread, ratio and verdict of each setting, and what follows for
// the host and its instances. Pure. Nothing is recommended that has not won in one figure and lost in none.
import type { MeasuredComparison, MeasuredMetric } from '@virga/contract/agent/host-bench';
import type { JudgedComparison, JudgedMetric, Recommendation } from '@virga/contract/rest/host-bench';
import { ratioOf, spreadOf, verdictOf } from './statistics.ts';

export const judge = (measured: MeasuredComparison): JudgedComparison => ({
  ...measured,
  metrics: measured.metrics.map(judgeMetric),
});

function judgeMetric({ settings, ...metric }: MeasuredMetric): JudgedMetric {
  const baseline = settings[0]?.samples ?? [];
  return {
    ...metric,
    settings: settings.map(({ name, samples }, index) => {
      const ratio = index === 0 ? undefined : ratioOf(samples, baseline);
      const verdict = index === 0 ? 'baseline' : verdictOf(samples, baseline, metric.better);
      return { name, samples, spread: spreadOf(samples), ratio: ratio ?? null, verdict };
    }),
  };
}

type Knob = Recommendation['override'];

/** The knob of the host's tuning that a setting is of, where the host has one. */
const knobs: Partial<Record<JudgedComparison['name'], (setting: string, device: string | null) => Knob>> = {
  thp: (value) => ({ knob: 'thp', value }),
  ksm: (setting) => ({ knob: 'ksmPages', value: setting.split(' ')[0]! }),
  'io-scheduler': (value, device) => (device === null ? null : { knob: `ioScheduler.${device}`, value }),
};

/** Never by itself: what loses acknowledged data is no gain. */
const unsafe = /\bunsafe\b/;

/** What instances and types should ask for, to follow “Have instances …”. */
const ofInstances: Partial<Record<JudgedComparison['name'], (setting: string) => string>> = {
  pinning: () => 'that must not wait for a CPU ask for CPUs of their own (policy dedicated)',
  'huge-pages': () => 'with much memory ask for static huge pages',
  'disk-cache': (setting) =>
    `have disks with ${setting.replace(/^(\S+) (\S+) (\S+)$/, 'format $1, cache $2 and aio $3')}`,
  'disk-bus': () => 'keep virtio disks wherever the guest has the driver',
  'network-card': () => 'keep virtio network cards wherever the guest has the driver',
};

export function recommendationsOf(comparisons: readonly JudgedComparison[]): Recommendation[] {
  return comparisons.flatMap((comparison) => {
    const setting = winnerOf(comparison);
    if (setting === undefined) return [];
    const override = knobs[comparison.name]?.(setting, comparison.device) ?? null;
    const forInstances = ofInstances[comparison.name]?.(setting);
    if (override === null && forInstances === undefined) return [];
    const sentence =
      override === null ? `Have instances ${forInstances}.` : `Set ${override.knob} of the host to ${override.value}.`;
    return [{ comparison: comparison.name, setting, override, sentence }];
  });
}

/** Of the settings that are better in some figure and worse in none, the one that brings most. */
export function winnerOf({ metrics }: JudgedComparison): string | undefined {
  const names = metrics[0]?.settings.map(({ name }) => name) ?? [];
  const winners = names.flatMap((name) => {
    const seen = metrics.map(({ better, settings }) => ({ better, ...settings.find((one) => one.name === name)! }));
    if (unsafe.test(name) || seen.some(({ verdict }) => verdict === 'worse')) return [];
    if (!seen.some(({ verdict }) => verdict === 'better')) return [];
    const gains = seen.map(({ better, ratio }) =>
      better === 'higher' ? (ratio?.median ?? 1) : 1 / (ratio?.median ?? 1),
    );
    return [{ name, gain: gains.reduce((product, gain) => product * gain, 1) }];
  });
  return winners.sort((one, other) => other.gain - one.gain)[0]?.name;
}

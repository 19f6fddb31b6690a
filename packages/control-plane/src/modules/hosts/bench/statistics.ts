// What figures that were measured in rounds mean. Pure, and without assumptions about how figures are spread: medians,
// quartiles, and the interval that the order of the figures alone gives for a median. A figure is never left out.
import type { BenchVerdict, Ratio, Spread } from '@virga/contract/rest/host-bench';

/** Two-sided, of the interval of a median. */
export const wantedConfidence = 0.95;

/** @throws RangeError there is none */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new RangeError('no samples');
  const sorted = [...samples].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)]!;
  const above = sorted[Math.ceil(position)]!;
  return below + (above - below) * (position - Math.floor(position));
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

export const spreadOf = (samples: readonly number[]): Spread => ({
  median: median(samples),
  lowerQuartile: quantile(samples, 0.25),
  upperQuartile: quantile(samples, 0.75),
});

/**
 * Between which of the figures the median lies: the narrowest pair from both ends that has the wanted confidence, else the
 * least and the greatest with what confidence they have. That of n figures, k in from each end, is 1 - 2 P(X < k) for the
 * number X of n tosses of a coin that come up heads, plus one end each.
 * @see https://en.wikipedia.org/wiki/Median_test and David & Nagaraja, Order Statistics, 7.1
 */
export function medianInterval(samples: readonly number[]): { low: number; high: number; confidence: number } {
  const sorted = [...samples].sort((a, b) => a - b);
  const count = sorted.length;
  let inset = 0;
  let confidence = confidenceOf(count, 0);
  while (2 * (inset + 1) < count && confidenceOf(count, inset + 1) >= wantedConfidence) {
    inset += 1;
    confidence = confidenceOf(count, inset);
  }
  return { low: sorted[inset]!, high: sorted[count - 1 - inset]!, confidence };
}

function confidenceOf(count: number, inset: number): number {
  let tail = 0;
  let ways = 1;
  for (let heads = 0; heads <= inset; heads++) {
    tail += ways;
    ways = (ways * (count - heads)) / (heads + 1);
  }
  return Math.max(0, 1 - (2 * tail) / 2 ** count);
}

/** Of each round the figure over that of the baseline. Undefined where the baseline was zero: there is no ratio to nothing. */
export function ratioOf(samples: readonly number[], baseline: readonly number[]): Ratio | undefined {
  const ratios = samples.map((sample, round) => sample / baseline[round]!);
  if (ratios.length === 0 || !ratios.every(Number.isFinite)) return undefined;
  const { low, high, confidence } = medianInterval(ratios);
  return { median: median(ratios), low, high, confidencePercent: Math.round(confidence * 1000) / 10 };
}

/**
 * Only what would be so again: the whole interval is on one side of “the same”. Where there is no ratio it is that of the
 * differences.
 */
export function verdictOf(
  samples: readonly number[],
  baseline: readonly number[],
  better: 'higher' | 'lower',
): BenchVerdict {
  const ratio = ratioOf(samples, baseline);
  const differences = samples.map((sample, round) => sample - baseline[round]!);
  const interval = ratio ? { low: ratio.low - 1, high: ratio.high - 1 } : medianInterval(differences);
  if (confidenceOf(samples.length, 0) < wantedConfidence) return 'too few pairs';
  if (interval.low > 0) return better === 'higher' ? 'better' : 'worse';
  if (interval.high < 0) return better === 'higher' ? 'worse' : 'better';
  return 'no measurable difference';
}

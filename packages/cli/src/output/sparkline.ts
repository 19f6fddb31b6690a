// A row of numbers over time as one line of text. Pure. Where nothing is known it is blank.

const blocks = '▁▂▃▄▅▆▇█';
const plain = '.:-=+*#@';

export type TimedValue = { atMs: number; value: number | null };

export type SparklineOptions = {
  fromMs: number;
  toMs: number;
  /** Characters. */
  width: number;
  /** What fills a character; default the highest value. */
  ceiling?: number | undefined;
  unicode: boolean;
};

/** Each character is the average of its part of the time. */
export function sparkline(
  values: readonly TimedValue[],
  { fromMs, toMs, width, ceiling, unicode }: SparklineOptions,
): string {
  const cells = Array.from({ length: width }, () => ({ sum: 0, count: 0 }));
  for (const { atMs, value } of values) {
    const cell = cells[Math.min(width - 1, Math.floor(((atMs - fromMs) / (toMs - fromMs)) * width))];
    if (value === null || cell === undefined) continue;
    cell.sum += value;
    cell.count += 1;
  }
  const averages = cells.map(({ sum, count }) => (count === 0 ? null : sum / count));
  const full = ceiling ?? Math.max(0, ...averages.map((value) => value ?? 0));
  const levels = unicode ? blocks : plain;
  const levelOf = (value: number) =>
    Math.max(0, Math.min(levels.length - 1, Math.ceil((value / full) * levels.length) - 1));
  return averages.map((value) => (value === null ? ' ' : levels[full > 0 ? levelOf(value) : 0])).join('');
}

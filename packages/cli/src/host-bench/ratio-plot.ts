// One line of the plot for a terminal: where the ratio of a setting lies, between which bounds, and where “the same” is. The
// scale is that of ratios: half as much is as far from the same as twice as much.
import type { JudgedMetric } from '@virga/contract/rest/host-bench';

export type Scale = { low: number; high: number };

/** Holds all intervals of a figure, and “the same”. Undefined: there is none to draw. */
export function scaleOf({ settings }: JudgedMetric): Scale | undefined {
  const bounds = settings.flatMap(({ ratio }) => (ratio && ratio.low > 0 ? [ratio.low, ratio.high] : []));
  if (bounds.length === 0) return undefined;
  const [low, high] = [Math.min(1, ...bounds), Math.max(1, ...bounds)];
  // A difference of less than that is drawn as one that is small.
  return { low: Math.min(low, 1 / leastSpan), high: Math.max(high, leastSpan) };
}

const leastSpan = 1.1;

/** From 0 at the low end to 1 at the high one. */
export const positionOf = (ratio: number, { low, high }: Scale): number => Math.log(ratio / low) / Math.log(high / low);

const signs = {
  unicode: { from: '├', to: '┤', line: '─', point: '●', same: '│', space: ' ' },
  ascii: { from: '[', to: ']', line: '-', point: '*', same: '|', space: ' ' },
};

export function plotLine(
  ratio: { median: number; low: number; high: number } | null,
  scale: Scale,
  width: number,
  unicode: boolean,
): string {
  const { from, to, line, point, same, space } = unicode ? signs.unicode : signs.ascii;
  const columnOf = (value: number) => Math.round(positionOf(value, scale) * (width - 1));
  const cells = Array.from({ length: width }, () => space);
  cells[columnOf(1)] = same;
  if (ratio !== null && ratio.low > 0) {
    const [first, last] = [columnOf(ratio.low), columnOf(ratio.high)];
    for (let column = first; column <= last; column++) cells[column] = line;
    cells[first] = from;
    cells[last] = to;
    cells[columnOf(ratio.median)] = point;
  }
  return cells.join('').trimEnd();
}

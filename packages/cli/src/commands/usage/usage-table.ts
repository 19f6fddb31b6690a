// Usage over time as a table: what is measured, how much of it now, on average and at most, and its course, as wide as the
// terminal lets it be.
import { columnGap } from '../../output/column-widths.ts';
import { formatBytes, formatMib } from '../../output/format.ts';
import { sparkline } from '../../output/sparkline.ts';
import type { Column } from '../../output/table.ts';
import type { Terminal } from '../../output/terminal.ts';

export type Measured = {
  title: string;
  /** Oldest first; seconds are those that a value covers. */
  values: { atMs: number; seconds: number; value: number | null }[];
  /** The highest, when values are averages that hide it. */
  highest?: number | null;
  format: (value: number) => string;
  ceiling?: number;
};

export const percent = (value: number): string => `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} %`;
export const mib = (value: number): string => formatMib(Math.round(value));
export const bytesPerSecond = (value: number): string => `${formatBytes(Math.round(value))}/s`;

const narrowest = 8;
const widest = 60;

/** What is left of the terminal for a last column beside the others. */
export function courseWidth<T>(items: readonly T[], others: readonly Column<T>[], { width }: Terminal): number {
  const taken = others.map(({ header, value }) => Math.max(header.length, ...items.map((item) => value(item).length)));
  const left = width - taken.reduce((sum, each) => sum + each + columnGap, 0);
  return Math.max(narrowest, Math.min(widest, left));
}

export function average({ values }: Measured): number | null {
  const known = values.filter(({ value }) => value !== null);
  const seconds = known.reduce((sum, each) => sum + each.seconds, 0);
  return seconds > 0 ? known.reduce((sum, each) => sum + each.value! * each.seconds, 0) / seconds : null;
}

export function highest({ values, highest: known }: Measured): number | null {
  const seen = values.flatMap(({ value }) => value ?? []);
  return known ?? (seen.length > 0 ? Math.max(...seen) : null);
}

export const latest = ({ values }: Measured): number | null => values.at(-1)?.value ?? null;

/** @param measured those of which nothing is known are left out */
export function usageTable(
  measured: readonly Measured[],
  window: { from: string; to: string },
  terminal: Terminal,
): { rows: Measured[]; columns: Column<Measured>[] } {
  const rows = measured.filter(({ values }) => values.some(({ value }) => value !== null));
  const shown = (row: Measured, value: number | null) => (value === null ? '-' : row.format(value));
  const columns: Column<Measured>[] = [
    { header: 'USES', value: (row) => row.title, essential: true },
    { header: 'NOW', value: (row) => shown(row, latest(row)), essential: true },
    { header: 'AVERAGE', value: (row) => shown(row, average(row)), whole: true },
    { header: 'HIGHEST', value: (row) => shown(row, highest(row)), whole: true },
  ];
  const course = { fromMs: Date.parse(window.from), toMs: Date.parse(window.to), unicode: terminal.unicode };
  const width = courseWidth(rows, columns, terminal);
  columns.push({
    header: 'COURSE',
    value: (row) => sparkline(row.values, { ...course, width, ceiling: row.ceiling }),
    whole: true,
  });
  return { rows, columns };
}

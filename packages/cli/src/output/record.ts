// One resource as text: names and values below each other.
import { columnGap } from './column-widths.ts';
import { printable } from './format.ts';
import type { Terminal } from './terminal.ts';

/** Rows without a value are left out. */
export function renderRecord(rows: readonly (readonly [string, string | null])[], terminal: Terminal): string {
  const shown = rows.filter((row): row is readonly [string, string] => row[1] !== null && row[1] !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown
    .map(([name, value]) => `${terminal.paint('bold', name.padEnd(width))}${' '.repeat(columnGap)}${printable(value)}`)
    .join('\n');
}

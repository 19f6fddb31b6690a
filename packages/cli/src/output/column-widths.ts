// How wide each column of a table may be, so that a row is one line. Pure.

export type ColumnSize = {
  /** What the longest cell, or the header, needs. */
  natural: number;
  /** Never cut and never left out: names and ids. */
  essential: boolean;
  /** Either whole or left out, since half an address helps nobody. */
  whole: boolean;
};

export const columnGap = 2;
const narrowest = 6;

/**
 * Widths of the columns; 0 leaves a column out. Cuts from the right first, then leaves out from the right. Essential
 * columns stay whole even when the terminal is too narrow for them.
 */
export function fitColumns(columns: readonly ColumnSize[], terminalWidth: number): number[] {
  const widths = columns.map((column) => column.natural);
  const excess = () => {
    const shown = widths.filter((width) => width > 0);
    return shown.reduce((sum, width) => sum + width, 0) + columnGap * (shown.length - 1) - terminalWidth;
  };
  for (let last = columns.length; excess() > 0 && last > 0; last = leaveOutRightmost(columns, widths)) {
    for (let index = last - 1; index >= 0 && excess() > 0; index -= 1) {
      const column = columns[index]!;
      if (column.essential || column.whole || widths[index] === 0) continue;
      widths[index] = Math.max(Math.min(narrowest, column.natural), widths[index]! - excess());
    }
    if (excess() <= 0) break;
  }
  return widths;
}

/** Leaves out one more column and gives the others their natural width back. Answers how many are left; 0 when none may go. */
function leaveOutRightmost(columns: readonly ColumnSize[], widths: number[]): number {
  const victim = columns.findLastIndex((column, index) => !column.essential && widths[index]! > 0);
  if (victim < 0) return 0;
  for (const [index, column] of columns.entries()) if (widths[index]! > 0) widths[index] = column.natural;
  widths[victim] = 0;
  return columns.length;
}

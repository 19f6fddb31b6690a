// Tables as text. One row is one line whatever the width of the terminal.
import Table from 'cli-table3';
import { type ColumnSize, columnGap, fitColumns } from './column-widths.ts';
import { printable } from './format.ts';
import type { Style, Terminal } from './terminal.ts';

export type Column<T> = {
  header: string;
  value: (item: T) => string;
  essential?: true;
  whole?: true;
  style?: (item: T) => Style | undefined;
};

const borderless = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: ' '.repeat(columnGap),
};

export function renderTable<T>(items: readonly T[], columns: readonly Column<T>[], terminal: Terminal): string {
  const cells = items.map((item) => columns.map((column) => printable(column.value(item))));
  const sizes = columns.map(
    (column, index): ColumnSize => ({
      natural: Math.max(column.header.length, ...cells.map((row) => row[index]!.length)),
      essential: column.essential ?? false,
      whole: column.whole ?? false,
    }),
  );
  const widths = fitColumns(sizes, terminal.width);
  const shown = columns.map((_, index) => index).filter((index) => widths[index]! > 0);
  const ellipsis = terminal.unicode ? '…' : '~';
  const cut = (text: string, width: number) => (text.length > width ? text.slice(0, width - 1) + ellipsis : text);
  const table = new Table({
    chars: borderless,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    head: shown.map((index) => terminal.paint('bold', cut(columns[index]!.header, widths[index]!))),
    colWidths: shown.map((index) => widths[index]!),
  });
  for (const [row, item] of items.entries()) {
    table.push(
      shown.map((index) => {
        const text = cut(cells[row]![index]!, widths[index]!);
        const style = columns[index]!.style?.(item);
        return style ? terminal.paint(style, text) : text;
      }),
    );
  }
  return trimLineEnds(table.toString());
}

function trimLineEnds(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences may stand after the padding
  return text.replace(/ +((?:\u001b\[\d+m)*)$/gm, '$1');
}

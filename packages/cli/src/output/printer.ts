// What a command prints: data to stdout in the format that was asked for, remarks to stderr. With --quiet only ids and
// errors are left.
import type { TerminalIo } from '../terminal-io.ts';
import type { Column } from './table.ts';
import { type Terminal, terminalOf } from './terminal.ts';

export const outputFormats = ['table', 'json', 'yaml'] as const;
export type OutputFormat = (typeof outputFormats)[number];

export type OutputOptions = { output: OutputFormat; quiet: boolean; color: boolean };

export type Printer = {
  readonly format: OutputFormat;
  readonly quiet: boolean;
  readonly terminal: Terminal;
  /** A list: a table, or an array. Quiet: one id a line. */
  list<T>(
    items: readonly T[],
    columns: readonly Column<T>[],
    idOf: (item: T) => string,
    emptyNote: string,
  ): Promise<void>;
  /** One resource: names and values below each other, or an object. Quiet: the id. */
  record(value: object, rows: readonly (readonly [string, string | null])[], id: string): Promise<void>;
  /** What came of a change: lines for people, or the value. Quiet: the ids. */
  result(value: unknown, lines: readonly string[], ids: readonly string[]): Promise<void>;
  /** One item of an endless list: a line, or a JSON line, or a YAML document. */
  item(value: unknown, line: string): Promise<void>;
  /** Raw text to stdout. */
  write(text: string): void;
  /** A remark to stderr; nothing with --quiet. */
  note(text: string): void;
};

export function createPrinter(io: TerminalIo, options: OutputOptions): Printer {
  const terminal = terminalOf(io.stdout, io.env, options.color);
  const { output: format, quiet } = options;
  const write = (text: string) => void io.stdout.write(text);
  const line = (text: string) => write(text === '' ? '' : `${text}\n`);
  const data = async (value: unknown) => write(await serialize(value, format));
  return {
    format,
    quiet,
    terminal,
    write,
    note: (text) => void (quiet || io.stderr.write(`${text}\n`)),
    async list(items, columns, idOf, emptyNote) {
      if (format !== 'table') return data(items);
      if (quiet) return line(items.map(idOf).join('\n'));
      if (items.length === 0) return void io.stderr.write(`${emptyNote}\n`);
      const { renderTable } = await import('./table.ts');
      line(renderTable(items, columns, terminal));
    },
    async record(value, rows, id) {
      if (format !== 'table') return data(value);
      if (quiet) return line(id);
      const { renderRecord } = await import('./record.ts');
      line(renderRecord(rows, terminal));
    },
    async result(value, lines, ids) {
      if (format !== 'table') return data(value);
      line((quiet ? ids : lines).join('\n'));
    },
    async item(value, text) {
      if (format === 'json') return line(JSON.stringify(value));
      if (format === 'yaml') return write(`---\n${await serialize(value, format)}`);
      line(text);
    },
  };
}

/** JSON with two spaces, or YAML; both end with a line end. */
export async function serialize(value: unknown, format: OutputFormat): Promise<string> {
  if (format !== 'yaml') return `${JSON.stringify(value, undefined, 2)}\n`;
  const { stringify } = await import('yaml');
  return stringify(value, { lineWidth: 0 });
}

// How sizes, times and states are written for people. JSON and YAML keep the values of the API.
import { stripVTControlCharacters } from 'node:util';
import type { Style } from './terminal.ts';

/** Such as `512 MiB` or `1.5 GiB`. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null) return '-';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const step = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** step;
  return `${value < 10 && step > 0 ? Number(value.toFixed(1)) : Math.round(value)} ${units[step]}`;
}

export const formatMib = (mib: number): string => formatBytes(mib * 1024 ** 2);

/** How long ago, in the largest whole unit: `42s`, `7m`, `3h`, `12d`. */
export function formatAge(time: string | null, nowMs: number): string {
  if (time === null) return '-';
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(time)) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

const styles: Record<string, Style> = {
  running: 'green',
  active: 'green',
  available: 'green',
  ready: 'green',
  succeeded: 'green',
  stopped: 'dim',
  error: 'red',
  failed: 'red',
  unreachable: 'red',
};

/** Colour of a state; what is under way is yellow. */
export function stateStyle(state: string): Style {
  return styles[state] ?? 'yellow';
}

/** The text on one line and without control characters: what a guest or another user wrote must not steer this terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}

/** Text of many lines without escape sequences and control characters, but for line ends and tabs. */
export function printableLines(text: string): string {
  const plain = stripVTControlCharacters(text).replace(/\r+\n/g, '\n');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return plain.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}

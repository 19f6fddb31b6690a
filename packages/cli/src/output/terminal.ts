// What a stream can show: width, colour, characters. Colour only where a person looks, and never with NO_COLOR.
import { styleText } from 'node:util';
import type { TerminalOutput } from '../terminal-io.ts';

export type Style = Parameters<typeof styleText>[0];

export type Terminal = {
  isTty: boolean;
  /** Columns; unlimited when nobody looks, so that scripts get every character. */
  width: number;
  unicode: boolean;
  paint(style: Style, text: string): string;
};

/** @see https://no-color.org */
export function terminalOf(stream: TerminalOutput, env: NodeJS.ProcessEnv, colorWanted = true): Terminal {
  const isTty = stream.isTTY === true;
  const color = colorWanted && isTty && !env.NO_COLOR && env.TERM !== 'dumb';
  return {
    isTty,
    width: isTty ? (stream.columns ?? 80) : Number.POSITIVE_INFINITY,
    unicode: /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || ''),
    paint: (style, text) => (color ? styleText(style, text, { validateStream: false }) : text),
  };
}

// Progress of long work, on stderr. On a terminal: a bar for each task that is under way, redrawn in place, and a line that
// stays for each that has ended. Elsewhere: a line when the message changes. With --quiet: nothing.
import type { TerminalIo } from '../terminal-io.ts';
import { columnGap } from './column-widths.ts';
import { printable } from './format.ts';
import { type Terminal, terminalOf } from './terminal.ts';

export type ProgressTask = {
  update(message: string, percent: number): void;
  succeed(message: string): void;
  fail(message: string): void;
};

export type Progress = {
  /**
   * Starts showing a task. Labels are best short: the name of a resource.
   * @param passing on a terminal no line stays of it, because what came of it is told right after
   */
  task(label: string, options?: { passing?: boolean }): ProgressTask;
  /** Takes the bars away and gives the terminal back. */
  close(): void;
};

const silent: Progress = { task: () => ({ update() {}, succeed() {}, fail() {} }), close() {} };

export function createProgress(io: TerminalIo, options: { quiet: boolean; color: boolean }): Progress {
  if (options.quiet) return silent;
  const terminal = terminalOf(io.stderr, io.env, options.color);
  return terminal.isTty ? bars(io, terminal) : lines(io);
}

function lines(io: TerminalIo): Progress {
  const say = (label: string, text: string) => io.stderr.write(`${label}: ${printable(text)}\n`);
  return {
    task(label) {
      let last = '';
      return {
        update(message, percent) {
          if (message !== '' && message !== last) say(label, percent > 0 ? `${message} (${percent} %)` : message);
          last = message;
        },
        succeed: (message) => say(label, message),
        fail: (message) => say(label, message),
      };
    },
    close() {},
  };
}

type Bar = { label: string; message: string; percent: number; startedMs: number; passing: boolean };

const barWidth = 20;
const hideCursor = '\u001b[?25l';
const showCursor = '\u001b[?25h';

function bars(io: TerminalIo, terminal: Terminal): Progress {
  const now = io.clock ?? Date.now;
  const active = new Set<Bar>();
  let drawnLines = 0;
  let timer: NodeJS.Timeout | undefined;
  const mostBars = 12;

  /** Draws the bars anew, below `ended`, which stays. */
  const draw = (ended = '') => {
    const shown = [...active].slice(0, mostBars).map((bar) => barLine(bar, terminal, now() - bar.startedMs));
    if (active.size > mostBars) shown.push(`and ${active.size - mostBars} more`);
    const up = drawnLines > 0 ? `\u001b[${drawnLines}A\r\u001b[J` : '';
    io.stderr.write(up + ended + shown.map((line) => `${line}\n`).join(''));
    drawnLines = shown.length;
  };
  const end = (bar: Bar, mark: string, message: string) => {
    if (!active.delete(bar)) return;
    draw(bar.passing ? '' : `${mark} ${bar.label}  ${printable(message)}\n`);
  };
  return {
    task(label, { passing = false } = {}) {
      const bar: Bar = { label, message: '', percent: 0, startedMs: now(), passing };
      if (!timer) {
        io.stderr.write(hideCursor);
        timer = setInterval(draw, 1000).unref();
      }
      active.add(bar);
      draw();
      return {
        update(message, percent) {
          if (bar.message === message && bar.percent === percent) return;
          bar.message = message;
          bar.percent = percent;
          draw();
        },
        succeed: (message) => end(bar, terminal.paint('green', terminal.unicode ? '✔' : '+'), message),
        fail: (message) => end(bar, terminal.paint('red', terminal.unicode ? '✖' : 'x'), message),
      };
    },
    close() {
      if (!timer) return;
      clearInterval(timer);
      timer = undefined;
      active.clear();
      draw();
      io.stderr.write(showCursor);
    },
  };
}

function barLine(bar: Bar, terminal: Terminal, elapsedMs: number): string {
  const done = Math.round((Math.min(100, Math.max(0, bar.percent)) / 100) * barWidth);
  const [full, empty] = terminal.unicode ? ['█', '░'] : ['#', '.'];
  const gap = ' '.repeat(columnGap);
  const head = [bar.label, full!.repeat(done) + empty!.repeat(barWidth - done), `${String(bar.percent).padStart(3)} %`];
  const tail = `${Math.floor(elapsedMs / 1000)}s`;
  const room = terminal.width - 1 - head.join(gap).length - tail.length - 2 * columnGap;
  const whole = [...head, ...(room > 3 ? [printable(bar.message).slice(0, room)] : []), tail].join(gap);
  // A line that wraps could not be drawn over.
  return whole.slice(0, terminal.width - 1);
}

import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { TerminalIo, TerminalOutput } from '../terminal-io.ts';
import { createProgress } from './progress.ts';

function screen(columns?: number, nowMs = 0) {
  let shown = '';
  const output = (): TerminalOutput => {
    const sink: TerminalOutput = new Writable({
      write(chunk, _encoding, done) {
        shown += chunk;
        done();
      },
    });
    return Object.assign(sink, columns === undefined ? {} : { isTTY: true, columns });
  };
  const io: TerminalIo = {
    stdin: new PassThrough(),
    stdout: output(),
    stderr: output(),
    env: { LANG: 'C.UTF-8' },
    clock: () => nowMs,
  };
  return { io, shown: () => shown };
}

test('elsewhere than on a terminal there is a line for each new message', () => {
  const { io, shown } = screen();
  const task = createProgress(io, { quiet: false, color: true }).task('web');
  task.update('clone', 10);
  task.update('clone', 20);
  task.update('start', 0);
  task.succeed('running\u001b[2J');
  assert.equal(shown(), 'web: clone (10 %)\nweb: start\nweb: running [2J\n');
});

test('on a terminal a bar is redrawn in place, and a line stays of each task that has ended', () => {
  const { io, shown } = screen(60);
  const progress = createProgress(io, { quiet: false, color: false });
  progress.task('web').succeed('running');
  progress.task('db').fail('no room');
  progress.close();
  const bar = (name: string) => `${name}  ${'░'.repeat(20)}    0 %    0s\n`;
  const up = '\u001b[1A\r\u001b[J';
  assert.equal(shown(), `\u001b[?25l${bar('web')}${up}✔ web  running\n${bar('db')}${up}✖ db  no room\n\u001b[?25h`);
});

test('no line stays of a task whose outcome is told right after', () => {
  const { io, shown } = screen(60);
  const progress = createProgress(io, { quiet: false, color: false });
  progress.task('web', { passing: true }).succeed('running');
  progress.close();
  assert.ok(!shown().includes('running'));
});

test('a bar never wraps, however long its name and its message', () => {
  const { io, shown } = screen(50);
  const progress = createProgress(io, { quiet: false, color: false });
  progress.task('web').update('x'.repeat(200), 50);
  progress.task('n'.repeat(63)).update('x', 50);
  progress.close();
  for (const line of stripVTControlCharacters(shown()).split(/[\r\n]/)) assert.ok(line.length < 50, line);
});

test('with --quiet nothing is shown', () => {
  const { io, shown } = screen(60);
  const progress = createProgress(io, { quiet: true, color: true });
  progress.task('web').fail('no room');
  progress.close();
  assert.equal(shown(), '');
});

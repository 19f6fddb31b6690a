import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAge, formatBytes, printable, printableLines } from './format.ts';
import { renderTable } from './table.ts';
import type { Terminal } from './terminal.ts';

const terminal = (width: number): Terminal => ({ isTty: true, width, unicode: true, paint: (_style, text) => text });

type Row = { name: string; address: string; note: string };
const columns = [
  { header: 'NAME', value: (row: Row) => row.name, essential: true as const },
  { header: 'ADDRESS', value: (row: Row) => row.address, whole: true as const },
  { header: 'NOTE', value: (row: Row) => row.note },
];
const rows: Row[] = [
  { name: 'web', address: '10.77.0.10', note: 'a rather long note about web' },
  { name: 'db', address: '10.77.0.11', note: 'short' },
];

test('a table has every character when there is room', () => {
  assert.deepEqual(renderTable(rows, columns, terminal(100)).split('\n'), [
    'NAME  ADDRESS     NOTE',
    'web   10.77.0.10  a rather long note about web',
    'db    10.77.0.11  short',
  ]);
});

test('a narrow terminal shortens what may be shortened', () => {
  assert.deepEqual(renderTable(rows, columns, terminal(30)).split('\n'), [
    'NAME  ADDRESS     NOTE',
    'web   10.77.0.10  a rather lo…',
    'db    10.77.0.11  short',
  ]);
});

test('a narrower one leaves out columns from the right, never half an address', () => {
  assert.equal(renderTable(rows, columns, terminal(20)).split('\n')[1], 'web   10.77.0.10');
  assert.equal(renderTable(rows, columns, terminal(10)).split('\n')[1], 'web');
});

test('no line is ever wider than the terminal, down to the essential columns', () => {
  for (let width = 4; width < 60; width += 1) {
    const widest = Math.max(
      ...renderTable(rows, columns, terminal(width))
        .split('\n')
        .map((line) => line.length),
    );
    assert.ok(widest <= width, `${widest} > ${width}`);
  }
});

test('what a guest or another user wrote cannot steer the terminal or break the row', () => {
  const hostile = [{ name: 'web', address: '1.2.3.4', note: 'a\u001b[2Jb\nc\u009b31md' }];
  assert.equal(renderTable(hostile, columns, terminal(80)).split('\n')[1], 'web   1.2.3.4  a [2Jb c 31md');
  assert.equal(printable('x\u0007\u0000y\r\nz'), 'x y z');
});

test('a console log keeps its lines and loses its escape sequences', () => {
  const log = '\u001b[1;32mok\u001b[0m\r\n\u001b]0;title\u0007next\tline\u0008\n';
  assert.equal(printableLines(log), 'ok\nnext\tline\n');
});

test('sizes and ages are short', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 268_435_456, 5e12].map(formatBytes), [
    '0 B',
    '1023 B',
    '1 KiB',
    '1.5 KiB',
    '256 MiB',
    '4.5 TiB',
  ]);
  const now = Date.parse('2026-03-01T12:00:00Z');
  const ago = (seconds: number) => formatAge(new Date(now - seconds * 1000).toISOString(), now);
  assert.deepEqual([0, 59, 60, 3600, 172_799, 172_800, -5].map(ago), ['0s', '59s', '1m', '1h', '47h', '2d', '0s']);
});

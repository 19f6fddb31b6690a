import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatUntil, readMoment } from './moment.ts';

const nowMs = Date.parse('2030-01-01T12:00:00.000Z');
const read = (text: string) => readMoment('--expires', text, nowMs);

test('a moment is a time with its zone, or one from now', () => {
  assert.equal(read('90m'), '2030-01-01T13:30:00.000Z');
  assert.equal(read('8h'), '2030-01-01T20:00:00.000Z');
  assert.equal(read('2d'), '2030-01-03T12:00:00.000Z');
  assert.equal(read('1w'), '2030-01-08T12:00:00.000Z');
  assert.equal(read('2030-12-01T18:00Z'), '2030-12-01T18:00:00.000Z');
  assert.equal(read('2030-12-01T18:00:30+02:00'), '2030-12-01T16:00:30.000Z');
});

test('what is neither is refused', () => {
  const wrong = [
    '',
    'soon',
    '8',
    '0h',
    '-1h',
    '8 h',
    '8H',
    '999999999w',
    '2030-12-01',
    '2030-12-01T18:00',
    '2030-13-01T18:00Z',
  ];
  for (const text of wrong) assert.throws(() => read(text), { name: 'InvalidArgument' }, text);
});

test('how long until then is told in the largest unit that says enough', () => {
  const until = (ms: number) => formatUntil(new Date(nowMs + ms).toISOString(), nowMs);
  assert.deepEqual(
    [until(-1), until(1), until(119 * 60_000), until(3 * 3_600_000), until(72 * 3_600_000)],
    ['now', '1m', '119m', '3h', '3d'],
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sparkline } from './sparkline.ts';

const values = (...all: (number | null)[]) => all.map((value, index) => ({ atMs: index * 10, value }));
const options = { fromMs: 0, toMs: 80, width: 8, unicode: true };

test('values rise from the lowest block to the highest', () => {
  assert.equal(sparkline(values(1, 2, 3, 4, 5, 6, 7, 8), options), '▁▂▃▄▅▆▇█');
  assert.equal(sparkline(values(1, 2, 3, 4, 5, 6, 7, 8), { ...options, unicode: false }), '.:-=+*#@');
});

test('against a ceiling they are as high as they are, and not beyond', () => {
  assert.equal(sparkline(values(0, 25, 50, 100, 200), { ...options, ceiling: 100 }), '▁▂▄██   ');
});

test('a time of which nothing is known is blank, and one in which nothing happened is not', () => {
  assert.equal(sparkline(values(0, null, 0), options), '▁ ▁     ');
  assert.equal(sparkline([], options), ' '.repeat(8));
});

test('many values share a character by their average', () => {
  const many = Array.from({ length: 80 }, (_, index) => ({ atMs: index, value: index < 40 ? 0 : 100 }));
  assert.equal(sparkline(many, { ...options, width: 2 }), '▁█');
});

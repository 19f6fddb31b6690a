import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, medianInterval, quantile, ratioOf, spreadOf, verdictOf } from './statistics.ts';

test('a median is the middle one, or between the two in the middle, whatever the order', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(median([7]), 7);
  assert.throws(() => median([]), RangeError);
});

test('quartiles are between figures where they fall between them', () => {
  assert.equal(quantile([1, 2, 3, 4, 5], 0.25), 2);
  assert.deepEqual(spreadOf([10, 20, 30, 40]), { median: 25, lowerQuartile: 17.5, upperQuartile: 32.5 });
});

test('the interval of a median is of the order of the figures: its confidence is that of the tables', () => {
  // n, how far in from each end, confidence: of the table of the sign test.
  const table: [n: number, inset: number, percent: number][] = [
    [1, 0, 0],
    [2, 0, 50],
    [5, 0, 93.75],
    [6, 0, 96.875],
    [8, 0, 99.21875],
    [9, 1, 96.09375],
    [12, 2, 96.142578125],
    [20, 5, 95.86105346679688],
  ];
  for (const [count, inset, percent] of table) {
    const figures = Array.from({ length: count }, (_, index) => index);
    const { low, high, confidence } = medianInterval(figures.toReversed());
    assert.deepEqual([low, high], [inset, count - 1 - inset], `${count} figures`);
    assert.ok(Math.abs(confidence * 100 - percent) < 1e-9, `${count} figures: ${confidence * 100}`);
  }
});

test('ratios are of the figures of one round, so that what slows a whole round down is no difference', () => {
  const baseline = [100, 10, 1000, 50, 100, 200];
  const ratio = ratioOf(
    baseline.map((figure) => figure * 1.1),
    baseline,
  );
  assert.ok(ratio);
  assert.ok(Math.abs(ratio.median - 1.1) < 1e-9);
  assert.ok(ratio.low > 1.09 && ratio.high < 1.11);
  const samples = baseline.map((figure) => figure * 1.1);
  assert.equal(verdictOf(samples, baseline, 'higher'), 'better');
  assert.equal(verdictOf(samples, baseline, 'lower'), 'worse');
});

test('one round that goes the other way in six is no measurable difference', () => {
  const baseline = [100, 100, 100, 100, 100, 100];
  assert.equal(verdictOf([150, 150, 150, 150, 150, 99], baseline, 'higher'), 'no measurable difference');
  assert.equal(verdictOf([150, 150, 150, 150, 150, 101], baseline, 'higher'), 'better');
  assert.equal(verdictOf([50, 60, 70, 80, 90, 99], baseline, 'higher'), 'worse');
});

test('fewer than six rounds say nothing, however far apart', () => {
  assert.equal(verdictOf([9, 9, 9, 9, 9], [1, 1, 1, 1, 1], 'higher'), 'too few pairs');
  assert.equal(verdictOf([9, 9, 9, 9, 9, 9], [1, 1, 1, 1, 1, 1], 'higher'), 'better');
});

test('nothing is so many times as much as zero, and yet more', () => {
  assert.equal(ratioOf([1, 2], [0, 1]), undefined);
  assert.equal(ratioOf([], []), undefined);
  const nothing = [0, 0, 0, 0, 0, 0];
  assert.equal(verdictOf([268, 260, 270, 268, 265, 271], nothing, 'higher'), 'better');
  assert.equal(verdictOf([268, 260, 270, 268, 265, 271], nothing, 'lower'), 'worse');
  assert.equal(verdictOf(nothing, nothing, 'higher'), 'no measurable difference');
  assert.equal(verdictOf([268, 260], [0, 0], 'higher'), 'too few pairs');
});

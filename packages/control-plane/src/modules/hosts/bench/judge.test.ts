import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BenchComparisonName, MeasuredComparison, MeasuredMetric } from '@virga/contract/agent/host-bench';
import { judge, recommendationsOf, winnerOf } from './judge.ts';

const metric = (better: MeasuredMetric['better'], figures: Record<string, number>): MeasuredMetric => ({
  name: 'figure',
  unit: 'IOPS',
  better,
  settings: Object.entries(figures).map(([name, value]) => ({ name, samples: Array.from({ length: 6 }, () => value) })),
});

const comparison = (name: BenchComparisonName, ...metrics: MeasuredMetric[]): MeasuredComparison => ({
  name,
  title: name,
  device: null,
  conditions: [],
  notPossible: null,
  metrics,
  tookSeconds: 1,
});

test('what is better in one figure and worse in another has not won', () => {
  const reads = metric('higher', { none: 10, bfq: 20, kyber: 11 });
  const writes = metric('higher', { none: 10, bfq: 9, kyber: 10 });
  assert.equal(winnerOf(judge(comparison('io-scheduler', reads, writes))), 'kyber');
});

test('of several that are better the one wins that brings most over all figures, less being more where it is', () => {
  const saved = metric('higher', { '100 pages a round': 10, '1000 pages a round': 20, '5000 pages a round': 20 });
  const time = metric('lower', { '100 pages a round': 30, '1000 pages a round': 5, '5000 pages a round': 3 });
  const judged = judge(comparison('ksm', saved, time));
  assert.equal(winnerOf(judged), '5000 pages a round');
  assert.deepEqual(recommendationsOf([judged])[0]?.override, { knob: 'ksmPages', value: '5000' });
});

test('a cache mode that loses acknowledged data is told, and never recommended', () => {
  const reads = metric('higher', { 'qcow2 none native': 10, 'qcow2 unsafe threads': 90, 'raw none native': 12 });
  const judged = judge(comparison('disk-cache', reads));
  assert.equal(judged.metrics[0]?.settings[1]?.verdict, 'better');
  const [recommended] = recommendationsOf([judged]);
  assert.deepEqual([recommended?.setting, recommended?.override], ['raw none native', null]);
  assert.match(recommended?.sentence ?? '', /format raw, cache none and aio native/);
});

test('where nothing was measurably better, and where nothing was measured, nothing is recommended', () => {
  const same = judge(comparison('thp', metric('higher', { madvise: 10, always: 10, never: 5 })));
  assert.deepEqual(recommendationsOf([same, judge(comparison('nested-paging'))]), []);
});

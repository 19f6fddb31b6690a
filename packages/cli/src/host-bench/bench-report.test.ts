// The report of one benchmark as text and as a picture, as they stand in golden/; VIRGA_UPDATE_GOLDEN=1 draws them anew.
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { aHostBenchmark } from '@virga/testing/benchmark-examples';
import type { Terminal } from '../output/terminal.ts';
import { benchReport, emulationWarning } from './bench-report.ts';
import { benchSvg } from './bench-svg.ts';
import { figure, gain } from './figures.ts';
import { claim } from './pinning-claim.ts';
import { plotLine } from './ratio-plot.ts';

const plain: Terminal = { isTty: false, width: Number.POSITIVE_INFINITY, unicode: true, paint: (_, text) => text };

async function assertGolden(name: string, content: string): Promise<void> {
  const path = join(import.meta.dirname, 'golden', name);
  if (process.env.VIRGA_UPDATE_GOLDEN === '1') {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  assert.equal(content, await readFile(path, 'utf8'), `${name} differs; if it should, set VIRGA_UPDATE_GOLDEN=1`);
}

test('the report tells on what it was measured, each figure with its spread and verdict, and what follows', async () => {
  await assertGolden('report.txt', `${benchReport(aHostBenchmark(), plain).join('\n')}\n`);
});

test('on a narrow terminal verdicts stay, and the plot stands below the figures', async () => {
  const narrow = { ...plain, width: 80 };
  const report = benchReport(aHostBenchmark(), narrow);
  assert.match(report.join('\n'), /a CPU of its own +14\.4 +\+40\.5 % +better/);
  await assertGolden('narrow-report.txt', `${report.join('\n')}\n`);
});

test('the picture is the same to the byte for the same benchmark', async () => {
  await assertGolden('report.svg', benchSvg(aHostBenchmark()));
});

test('emulation is told loudly, and only where there is some', () => {
  const emulated = aHostBenchmark();
  const virtualized = aHostBenchmark({ conditions: { ...emulated.conditions, acceleration: 'kvm' } });
  assert.ok(benchReport(emulated, plain).includes(emulationWarning));
  assert.ok(benchSvg(emulated).includes('EMULATED'));
  assert.ok(!benchReport(virtualized, plain).join('\n').includes('EMULATED'));
  assert.ok(!benchSvg(virtualized).includes('EMULATED'));
});

test('the figure of the host stands beside the claim about pinning, and where none was measured neither does', () => {
  const benchmark = aHostBenchmark();
  assert.match(
    benchReport(benchmark, plain).join('\n'),
    new RegExp(`${claim}.*\\n.*pinned.*\\n +a CPU of its own: \\+\\d`),
  );
  const others = benchmark.comparisons.filter(({ name }) => name !== 'pinning');
  assert.ok(
    !benchReport({ ...benchmark, comparisons: others }, plain)
      .join('\n')
      .includes(claim),
  );
});

test('figures have three digits, and gains a sign', () => {
  assert.deepEqual([0, 0.01344, 1.344, 13.44, 134.4, 1344, 1_344_000].map(figure), [
    '0',
    '0.0134',
    '1.34',
    '13.4',
    '134',
    '1,340',
    '1,340,000',
  ]);
  assert.deepEqual([1, 1.004, 0.9, 1.37, 3.5, 0.999].map(gain), [
    '0.0 %',
    '+0.4 %',
    '-10.0 %',
    '+37.0 %',
    '+250 %',
    '-0.1 %',
  ]);
});

test('half as much is as far to the left as twice as much to the right', () => {
  const scale = { low: 0.5, high: 2 };
  assert.equal(plotLine({ median: 2, low: 1, high: 2 }, scale, 11, true), '     ├────●');
  assert.equal(plotLine({ median: 0.5, low: 0.5, high: 1 }, scale, 11, false), '*----]');
  assert.equal(plotLine(null, scale, 11, false), '     |');
});

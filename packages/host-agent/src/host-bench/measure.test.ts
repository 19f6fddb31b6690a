import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orderOf } from './alternation.ts';
import type { Prepared } from './comparison.ts';
import { fioFigures, iperfBitsPerSecond, walkedPerSecond } from './guest-output.ts';
import { measureInRounds } from './measure.ts';

const settings = ['a', 'b', 'c'];

function prepared(measure: Prepared['measure']): Prepared {
  return {
    settings,
    metrics: [
      { name: 'reads', unit: 'IOPS', better: 'higher' },
      { name: 'writes', unit: 'IOPS', better: 'higher' },
    ],
    conditions: [],
    measure,
  };
}

test('rounds go forward and backward in turn', () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((round) => orderOf(['a', 'b'], round).join('')),
    ['ab', 'ba', 'ab', 'ba'],
  );
});

test('each setting is measured once a round, figures keep the order of the rounds, and progress only grows', async () => {
  const seen: string[] = [];
  const percents: number[] = [];
  const metrics = await measureInRounds(
    prepared(async (setting) => {
      seen.push(setting);
      return [seen.length, 100 * seen.length];
    }),
    2,
    'disks',
    { onProgress: (_, percent) => void percents.push(percent) },
  );
  assert.equal(seen.join(''), 'abccba');
  assert.deepEqual(
    metrics.map(({ name, settings: all }) => [name, ...all.map(({ samples }) => samples)]),
    [
      ['reads', [1, 6], [2, 5], [3, 4]],
      ['writes', [100, 600], [200, 500], [300, 400]],
    ],
  );
  assert.deepEqual(percents, [10, 25, 40, 55, 70, 85]);
});

test('the signal ends it before the next measurement, and a figure that is none is an error', async () => {
  const cancelling = new AbortController();
  let count = 0;
  const cutOff = measureInRounds(
    prepared(async () => {
      if (++count === 2) cancelling.abort();
      return [1, 1];
    }),
    5,
    'disks',
    { signal: cancelling.signal },
  );
  await assert.rejects(cutOff, { name: 'AbortError' });
  assert.equal(count, 2);
  for (const figures of [[1], [1, Number.NaN], [1, -1]]) {
    await assert.rejects(
      measureInRounds(
        prepared(async () => figures),
        1,
        'disks',
        {},
      ),
      RangeError,
    );
  }
});

test('what the programs in the guest say is read, and what they do not say is never a figure', () => {
  assert.equal(walkedPerSecond('2500 500000000\n'), 5000);
  for (const output of ['', '2500\n', '2500 0\n', 'Killed\n'])
    assert.throws(() => walkedPerSecond(output), SyntaxError);

  const fio = (job: object) => `note: both iodepth >= 1 and …\n${JSON.stringify({ jobs: [job] })}`;
  const figures = { read: { iops: 1766.2 }, write: { iops: 0 } };
  assert.deepEqual(fioFigures(fio({ error: 0, ...figures })), { readIops: 1766.2, writeIops: 0 });
  assert.throws(() => fioFigures(fio({ error: 5, ...figures })), SyntaxError);
  assert.throws(() => fioFigures(fio({ error: 0, read: {} })), SyntaxError);
  assert.throws(() => fioFigures('fio: unknown'), SyntaxError);

  assert.equal(iperfBitsPerSecond('{"end":{"sum_received":{"bits_per_second":2.5e8}}}'), 2.5e8);
  assert.throws(() => iperfBitsPerSecond('{"end":{},"error":"unable to connect"}'), /unable to connect/);
});

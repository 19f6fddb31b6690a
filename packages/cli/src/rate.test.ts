import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRate } from './rate.ts';

test('rates are read with and without units', () => {
  const read = (text: string) => readRate('--bps', text);
  assert.deepEqual(
    ['1500', '500k', '10M', '10MB/s', '1.5MiB', '2g', '1 Ki'].map(read),
    [1500, 500_000, 10_000_000, 10_000_000, 1_572_864, 2_000_000_000, 1024],
  );
  for (const text of ['', '0', '-1', 'fast', '10i', '10T', '1e6']) {
    assert.throws(() => read(text), { code: 'InvalidArgument' }, text);
  }
});

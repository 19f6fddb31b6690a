import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSize } from './size.ts';

test('a size has its unit, or that of its option', () => {
  for (const text of ['1GiB', '1024MiB', '1024', '1g', '1 GB', '1.0G']) {
    assert.equal(readSize('--memory', text, 'MiB'), 1024, text);
  }
  for (const text of ['1024', '1TiB', '1t', '1024g', '1048576MiB'])
    assert.equal(readSize('--disk', text, 'GiB'), 1024, text);
  assert.equal(readSize('--memory', '1.5GiB', 'MiB'), 1536);
});

test('what is no size is refused by the name of its option', () => {
  for (const text of ['', '0', '-1', 'much', '1.5', '1KiB', '0.1MiB', '1e3', '512 MiB more']) {
    assert.throws(() => readSize('--memory', text, 'MiB'), { code: 'InvalidArgument', detail: /--memory/ }, text);
  }
  assert.throws(() => readSize('--disk', '512MiB', 'GiB'), { code: 'InvalidArgument', action: /GiB/ });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCpuList, parseCpuList } from './cpu-list.ts';

test('lists of CPUs are read and written as the kernel does', () => {
  assert.deepEqual(parseCpuList('0-3,8,6-7\n'), [0, 1, 2, 3, 6, 7, 8]);
  assert.deepEqual(parseCpuList('\n'), []);
  assert.equal(formatCpuList([8, 0, 1, 2, 3, 7, 6, 3]), '0-3,6-8');
  assert.equal(formatCpuList([]), '');
  for (const text of ['a', '3-1', '-2', '1-', '1;2', '999999'])
    assert.throws(() => parseCpuList(text), RangeError, text);
});

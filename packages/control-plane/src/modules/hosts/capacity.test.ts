import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultSettings } from '../../deps.ts';
import { hugePageCount, schedulable, storageHeadroomBytes } from './capacity.ts';

test('vCPUs are promised several times over, memory never, and the host keeps a share', () => {
  assert.deepEqual(schedulable({ cpuThreads: 2, memoryMib: 4096 }, defaultSettings), { vcpus: 8, memoryMib: 3584 });
  assert.deepEqual(schedulable({ cpuThreads: 64, memoryMib: 524_288 }, defaultSettings), {
    vcpus: 256,
    memoryMib: 524_288 - 26_215,
  });
});

test('huge pages are no ordinary memory, and what is left is promised as often as the host’s administrator says', () => {
  const hugePages = [{ sizeKib: 2048, total: 512, free: 0 }];
  const host = { cpuThreads: 2, memoryMib: 4096, numaNodes: [{ id: 0, memoryMib: 4096, hugePages }] };
  assert.equal(schedulable(host, defaultSettings).memoryMib, 4096 - 512 - 1024);
  const policy = { vcpu_overcommit: 2, memory_overcommit: 1.5 };
  assert.deepEqual(schedulable(host, defaultSettings, policy), { vcpus: 4, memoryMib: 3840 });
  assert.deepEqual(
    [2048, 1_048_576].map((kib) => hugePageCount(host, kib as 2048)),
    [512, 0],
  );
});

test('a host smaller than its own share offers nothing, and not less than nothing', () => {
  assert.equal(schedulable({ cpuThreads: 1, memoryMib: 256 }, defaultSettings).memoryMib, 0);
});

test('headroom is what is free above the larger of the two reserves', () => {
  const gib = 1024 ** 3;
  assert.equal(
    storageHeadroomBytes({ storageFreeBytes: 3 * gib, storageTotalBytes: 10 * gib }, defaultSettings),
    2 * gib,
  );
  assert.equal(
    storageHeadroomBytes({ storageFreeBytes: 10 * gib, storageTotalBytes: 1000 * gib }, defaultSettings),
    -10 * gib,
  );
});

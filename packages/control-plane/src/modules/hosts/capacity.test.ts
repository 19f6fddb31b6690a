import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultSettings } from '../../deps.ts';
import { hugePagesForGuests, schedulable, storageHeadroomBytes } from './capacity.ts';

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
});

test('of huge pages, instances can have those that nobody else uses', () => {
  const pages = (sizeKib: number, total: number, free: number) => ({ sizeKib, total, free });
  const hugePages = [pages(2048, 100, 60), pages(1_048_576, 4, 4)];
  const numaNodes = [0, 1].map((id) => ({ id, memoryMib: 4096, hugePages }));
  assert.equal(hugePagesForGuests({ numaNodes }, 2048, 80), 200, 'all that is used is of instances');
  assert.equal(hugePagesForGuests({ numaNodes }, 2048, 150), 200, 'some are not started yet');
  assert.equal(hugePagesForGuests({ numaNodes }, 2048, 50), 170, 'others use thirty');
  assert.equal(hugePagesForGuests({ numaNodes }, 1_048_576, 0), 8);
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

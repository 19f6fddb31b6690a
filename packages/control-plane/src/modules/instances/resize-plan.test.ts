import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { type AskedSize, type PresentSize, planResize, type ResizeCircumstances, roomToGrow } from './resize-plan.ts';

const gib = 1024 ** 3;

const present = (changes: Partial<PresentSize> = {}): PresentSize => ({
  name: 'web',
  type: 'small',
  vcpus: 2,
  memory_mib: 1024,
  max_vcpus: 4,
  max_memory_mib: 4096,
  disk_bytes: 10 * gib,
  huge_page_kib: null,
  ...changes,
});

const fixed = { max_vcpus: null, max_memory_mib: null };
const circumstances: ResizeCircumstances = {
  power: 'on',
  mayRestart: false,
  acceleration: 'kvm',
  hasVirtio: true,
  leastMemoryMib: 256,
};

const plan = (asked: AskedSize, from: Partial<PresentSize> = {}, now: Partial<ResizeCircumstances> = {}) =>
  planResize(present(from), asked, { ...circumstances, ...now });

const large = { name: 'large', vcpus: 4, memoryMib: 4096, diskGib: 80 };

const live: [string, AskedSize, Partial<PresentSize>, object][] = [
  ['vCPUs up to the maximum', { vcpus: 4 }, {}, { vcpus: 4, max_vcpus: null }],
  ['fewer vCPUs under KVM', { vcpus: 1 }, {}, { vcpus: 1 }],
  ['memory up to the maximum', { memoryMib: 2048 }, {}, { memory_mib: 2048 }],
  ['less memory, by the balloon', { memoryMib: 512 }, {}, { memory_mib: 512 }],
  ['less memory without room for more', { memoryMib: 512 }, fixed, { memory_mib: 512, max_memory_mib: 1024 }],
  ['a larger disk', { diskGib: 20 }, fixed, { disk_bytes: 20 * gib }],
  ['a type that fits', { type: large }, {}, { type: 'large', vcpus: 4, memory_mib: 4096, ...fixed }],
  [
    'a type but for its memory',
    { type: large, memoryMib: 2048 },
    {},
    { type: 'large', vcpus: 4, memory_mib: 2048, max_vcpus: null },
  ],
  ['the maximum that it has', { maxVcpus: 4 }, {}, {}],
  ['the size that it has', { vcpus: 2, memoryMib: 1024, diskGib: 10 }, {}, {}],
];

for (const [what, asked, from, change] of live) {
  test(`a running guest can have ${what}`, () => {
    assert.deepEqual(plan(asked, from), { change, needsRestart: false });
  });
}

const restarts: [string, AskedSize, Partial<PresentSize>, Partial<ResizeCircumstances>, string, object][] = [
  ['more vCPUs than its maximum', { vcpus: 8 }, {}, {}, '/vcpus', { vcpus: 8, max_vcpus: null }],
  ['fewer vCPUs when it is emulated', { vcpus: 1 }, {}, { acceleration: 'tcg' }, '/vcpus', { vcpus: 1 }],
  ['more memory without virtio', { memoryMib: 2048 }, {}, { hasVirtio: false }, '/memoryMib', { memory_mib: 2048 }],
  ['less memory without virtio', { memoryMib: 512 }, {}, { hasVirtio: false }, '/memoryMib', { memory_mib: 512 }],
  ['fewer vCPUs than all that it can have', { vcpus: 1 }, fixed, {}, '/vcpus', { vcpus: 1 }],
  [
    'more memory than its maximum',
    { memoryMib: 8192 },
    {},
    {},
    '/memoryMib',
    { memory_mib: 8192, max_memory_mib: null },
  ],
  ['more memory without room for it', { memoryMib: 2048 }, fixed, {}, '/memoryMib', { memory_mib: 2048 }],
  ['a higher maximum of vCPUs', { maxVcpus: 8 }, {}, {}, '/maxVcpus', { max_vcpus: 8 }],
  ['a lower maximum of vCPUs', { maxVcpus: 2 }, {}, {}, '/maxVcpus', { max_vcpus: null }],
  ['another maximum of memory', { maxMemoryMib: 8192 }, fixed, {}, '/maxMemoryMib', { max_memory_mib: 8192 }],
];

for (const [what, asked, from, now, field, change] of restarts) {
  test(`a running guest is to be restarted for ${what}, and one that is off is not`, () => {
    assert.throws(
      () => plan(asked, from, now),
      (error) => {
        assert.ok(error instanceof VirgaError);
        assert.deepEqual([error.code, error.field], ['Conflict', field]);
        assert.match(error.action, /--restart/);
        return true;
      },
    );
    assert.deepEqual(plan(asked, from, { ...now, mayRestart: true }), { change, needsRestart: true });
    assert.deepEqual(plan(asked, from, { ...now, power: 'off' }), { change, needsRestart: false });
  });
}

test('a guest that can have it while it runs is not restarted, whatever may be', () => {
  assert.equal(plan({ vcpus: 3 }, {}, { mayRestart: true }).needsRestart, false);
});

const impossible: [string, AskedSize, string][] = [
  ['a smaller disk', { diskGib: 9 }, '/diskGib'],
  ['less memory than the image needs', { memoryMib: 128 }, '/memoryMib'],
  ['a type with less memory than the image needs', { type: { ...large, memoryMib: 128 } }, '/type'],
  ['a maximum below the vCPUs', { maxVcpus: 1 }, '/maxVcpus'],
  ['a maximum below the memory', { memoryMib: 2048, maxMemoryMib: 1024 }, '/maxMemoryMib'],
  ['memory by halves of a step', { memoryMib: 1025 }, '/memoryMib'],
  ['a maximum by halves of a step', { maxMemoryMib: 4097 }, '/maxMemoryMib'],
];

for (const [what, asked, field] of impossible) {
  test(`nobody can have ${what}, also with a restart`, () => {
    for (const now of [{ mayRestart: true }, { power: 'off' as const }]) {
      assert.throws(() => plan(asked, {}, now), { code: 'InvalidArgument', field });
    }
  });
}

test('a request that says nothing is refused', () => {
  assert.throws(() => plan({ type: undefined }), { code: 'InvalidArgument' });
});

test('an instance without room that is off keeps to its new size, and one with room keeps its room', () => {
  assert.deepEqual(plan({ memoryMib: 512 }, fixed, { power: 'off' }).change, { memory_mib: 512 });
  assert.deepEqual(plan({ memoryMib: 512 }, {}, { power: 'off' }).change, { memory_mib: 512 });
});

test('a new instance has room when that is asked for, and no maximum below its size', () => {
  assert.deepEqual(roomToGrow(large, {}), { maxVcpus: null, maxMemoryMib: null });
  assert.deepEqual(roomToGrow(large, { maxVcpus: 8, maxMemoryMib: 4096 }), { maxVcpus: 8, maxMemoryMib: null });
  assert.throws(() => roomToGrow(large, { maxVcpus: 2 }), { code: 'InvalidArgument', field: '/maxVcpus' });
  assert.throws(() => roomToGrow(large, { maxMemoryMib: 4098 + 1 }), { field: '/maxMemoryMib' });
});

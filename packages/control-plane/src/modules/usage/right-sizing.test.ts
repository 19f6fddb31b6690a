import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, type SeenUsage, type SizedInstance } from './right-sizing.ts';

const daySeconds = 86_400;
const types = [
  { name: 'tiny', vcpus: 1, memoryMib: 256, diskGib: 1 },
  { name: 'small', vcpus: 1, memoryMib: 512, diskGib: 4 },
  { name: 'medium', vcpus: 2, memoryMib: 2048, diskGib: 20 },
  { name: 'large', vcpus: 4, memoryMib: 8192, diskGib: 80 },
  { name: 'xlarge', vcpus: 8, memoryMib: 16_384, diskGib: 160 },
];
const seen = (fields: Partial<SeenUsage> = {}): SeenUsage => ({
  seconds: 7 * daySeconds,
  cpusAverage: 1,
  cpusP95: 2,
  cpusPeak: 3,
  cpusWaiting: 0,
  memoryUsedP95Mib: 5000,
  residentP95Mib: 6000,
  diskBytesPerSecond: 1_000_000,
  networkBytesPerSecond: 1_000_000,
  ...fields,
});
const large = (fields: Partial<SeenUsage> | null = {}, more: Partial<SizedInstance> = {}): SizedInstance => ({
  type: 'large',
  vcpus: 4,
  memoryMib: 8192,
  leastMemoryMib: 128,
  cpuPolicy: 'shared',
  hugePageKib: null,
  seen: fields === null ? null : seen(fields),
  ...more,
});
const judged = (instance: SizedInstance) => {
  const { verdict, recommendedType, frees } = judge(instance, types, daySeconds);
  return [verdict, recommendedType, frees.vcpus, frees.memoryMib];
};
const quiet = { diskBytesPerSecond: 0, networkBytesPerSecond: 100 };

test('one that uses what it has fits', () => {
  assert.deepEqual(judged(large()), ['fitting', null, 0, 0]);
});

test('nothing is said of one that was seen for less than the minimum, and how much is missing', () => {
  assert.deepEqual(judged(large({ ...quiet, cpusP95: 0, seconds: daySeconds - 1 })), ['unknown', null, 0, 0]);
  assert.deepEqual(judged(large(null)), ['unknown', null, 0, 0]);
  const { reason } = judge(large({ seconds: 5400 }), types, daySeconds);
  assert.equal(reason, 'Not enough seen yet: 1.5 h of the 24 h that are needed.');
});

test('one is idle below 3 % of its processor with nearly no disk and network, and off it frees all it holds', () => {
  assert.deepEqual(judged(large({ ...quiet, cpusP95: 0.119 })), ['idle', null, 4, 8192]);
  const { reason } = judge(large({ ...quiet, cpusP95: 0.02, seconds: 2 * daySeconds }), types, daySeconds);
  assert.match(reason, /^In the 48 h that it was seen it used next to nothing: 0\.5 % of its processor at most/);
  assert.notEqual(judged(large({ ...quiet, cpusP95: 0.12 }))[0], 'idle', 'it computes');
  assert.notEqual(judged(large({ ...quiet, cpusP95: 0.05, networkBytesPerSecond: 5000 }))[0], 'idle', 'it serves');
  assert.notEqual(judged(large({ ...quiet, cpusP95: 0.05, diskBytesPerSecond: 20_000 }))[0], 'idle', 'it stores');
  assert.notEqual(judged(large({ ...quiet, cpusP95: 0.05, diskBytesPerSecond: null }))[0], 'idle', 'nobody knows');
});

test('one is oversized below 20 % of processor and 40 % of memory, and gets the smallest type with head-room', () => {
  assert.deepEqual(judged(large({ cpusP95: 0.5, cpusPeak: 0.9, memoryUsedP95Mib: 300 })), [
    'oversized',
    'small',
    3,
    7680,
  ]);
  assert.deepEqual(judged(large({ cpusP95: 0.5, cpusPeak: 0.9, memoryUsedP95Mib: 1000 })), [
    'oversized',
    'medium',
    2,
    6144,
  ]);
  assert.equal(judged(large({ cpusP95: 0.8, memoryUsedP95Mib: 300 }))[0], 'fitting', 'it is used for 20 %');
  assert.equal(judged(large({ cpusP95: 0.5, memoryUsedP95Mib: 3277 }))[0], 'fitting', 'it needs its memory');
});

test('a type in which a busy minute would take longer, or that the image cannot boot in, is not recommended', () => {
  assert.deepEqual(judged(large({ cpusP95: 0.5, cpusPeak: 1.5, memoryUsedP95Mib: 100 }))[1], 'medium');
  assert.equal(
    judged(large({ cpusP95: 0.5, cpusPeak: 3, memoryUsedP95Mib: 100 }))[0],
    'fitting',
    'none is smaller then',
  );
  const demanding = large({ cpusP95: 0.5, cpusPeak: 0.9, memoryUsedP95Mib: 100 }, { leastMemoryMib: 1024 });
  assert.deepEqual(judged(demanding)[1], 'medium');
});

test('of a guest that does not tell what it uses, what the host gave to it is the most it can be', () => {
  const silent = { memoryUsedP95Mib: null, cpusP95: 0.5, cpusPeak: 0.9 };
  assert.deepEqual(judged(large({ ...silent, residentP95Mib: 1000 })), ['oversized', 'medium', 2, 6144]);
  assert.equal(judged(large({ ...silent, residentP95Mib: 8000 }))[0], 'fitting');
  assert.equal(judged(large({ ...silent, residentP95Mib: null }))[0], 'fitting', 'nothing is known of its memory');
});

test('one is undersized at 90 % of processor or of memory, and gets a type with room for more', () => {
  assert.deepEqual(judged(large({ cpusP95: 3.6 })), ['undersized', 'xlarge', -4, -8192]);
  assert.deepEqual(judged(large({ memoryUsedP95Mib: 7400 })), ['undersized', 'xlarge', -4, -8192]);
  assert.equal(judged(large({ memoryUsedP95Mib: null, residentP95Mib: 8192 }))[0], 'fitting', 'cache is not need');
  const largest = large({ cpusP95: 7.5 }, { vcpus: 8, memoryMib: 16_384 });
  assert.deepEqual(judged(largest), ['undersized', null, 0, 0], 'there is none larger');
});

test('one whose vCPUs wait for a processor is undersized, and no type would help it', () => {
  assert.deepEqual(judged(large({ cpusWaiting: 0.8 })), ['undersized', null, 0, 0]);
  assert.equal(judged(large({ cpusWaiting: 0.7 }))[0], 'fitting');
  assert.equal(judged(large({ cpusWaiting: null }))[0], 'fitting');
});

test('a type with another kind of CPUs or memory is not recommended, nor one whose cap leaves no head-room', () => {
  const little = { cpusP95: 0.5, cpusPeak: 0.9, memoryUsedP95Mib: 1000 };
  assert.equal(judged(large(little, { cpuPolicy: 'dedicated' }))[0], 'fitting');
  assert.equal(judged(large(little, { hugePageKib: 2048 }))[0], 'fitting');
  const own = { name: 'own', vcpus: 2, memoryMib: 2048, diskGib: 1, cpuPolicy: 'dedicated' as const };
  const capped = { name: 'capped', vcpus: 2, memoryMib: 2048, diskGib: 1, cpuCapPercent: 40 };
  const best = (instance: SizedInstance, type: typeof own | typeof capped) =>
    judge(instance, [type], daySeconds).recommendedType;
  assert.equal(best(large(little, { cpuPolicy: 'dedicated' }), own), 'own');
  assert.equal(best(large(little), own), null);
  assert.equal(best(large(little), capped), null);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bin, hostsNeeded, type Item } from './packing.ts';

const host = (fields: Partial<Bin> = {}): Bin => ({ threads: 10, vcpus: 40, memoryMib: 1000, ...fields });
const items = (count: number, item: Item): Item[] => Array.from({ length: count }, () => item);

test('instances that compute little are packed up to the memory of a host, and not beyond', () => {
  const small = { vcpus: 1, memoryMib: 100, cpus: 0.1 };
  assert.equal(hostsNeeded(items(10, small), [host(), host(), host()]), 1);
  assert.equal(hostsNeeded(items(11, small), [host(), host(), host()]), 2);
});

test('no more vCPUs are promised than may be', () => {
  const wide = { vcpus: 8, memoryMib: 1, cpus: 0.1 };
  assert.equal(hostsNeeded(items(5, wide), [host(), host()]), 1);
  assert.equal(hostsNeeded(items(6, wide), [host(), host()]), 2);
});

test('a fifth of the threads of a host stays free of what is needed', () => {
  const busy = { vcpus: 1, memoryMib: 1, cpus: 1 };
  assert.equal(hostsNeeded(items(8, busy), [host(), host()]), 1);
  assert.equal(hostsNeeded(items(9, busy), [host(), host()]), 2);
});

test('large ones are placed first, on the largest hosts', () => {
  const mixed = [...items(4, { vcpus: 1, memoryMib: 50, cpus: 0 }), { vcpus: 1, memoryMib: 1800, cpus: 0 }];
  assert.equal(hostsNeeded(mixed, [host(), host({ memoryMib: 2000 })]), 1);
});

test('nothing needs no host, and what does not fit is said', () => {
  assert.equal(hostsNeeded([], [host()]), 0);
  assert.equal(hostsNeeded([{ vcpus: 1, memoryMib: 1001, cpus: 0 }], [host()]), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DomainUsage, HostUsage } from '@virga/contract/agent/host-usage';
import { ratesBetween } from './usage-rates.ts';

const minuteMs = 60_000;
const gapMs = 6 * minuteMs;

const domain = (fields: Partial<DomainUsage> = {}): DomainUsage => ({
  uuid: 'web',
  run: '1',
  vcpus: 2,
  cpuTimeMs: 100_000,
  cpuWaitMs: 1000,
  memory: { currentKib: 2_097_152, residentKib: 1_048_576, usedKib: 524_288 },
  disks: { readBytes: 6000, readRequests: 6, writtenBytes: 12_000, writeRequests: 12 },
  network: { receivedBytes: 600, sentBytes: 1200 },
  ...fields,
});
const host = (fields: Partial<HostUsage> = {}): HostUsage => ({
  bootId: 'first',
  uptimeMs: 1_000_000,
  cpus: [
    { id: 0, busyMs: 500_000, idleMs: 500_000, stolenMs: 0 },
    { id: 1, busyMs: 100_000, idleMs: 900_000, stolenMs: 0 },
  ],
  load: [1.5, 1, 1],
  memory: { totalKib: 8_388_608, availableKib: 4_194_304, swapTotalKib: 0, swapFreeKib: 0 },
  storage: { device: 'sda', readBytes: 0, readRequests: 0, writtenBytes: 0, writeRequests: 0, busyMs: 0 },
  network: { receivedBytes: 0, sentBytes: 0 },
  pressure: { cpuSomeMs: 0, memorySomeMs: 0, memoryFullMs: 0, ioSomeMs: 0, ioFullMs: 0 },
  domains: [domain()],
  ...fields,
});
/** A minute later; CPU 1 was busy for half of it. */
const later = (fields: Partial<HostUsage> = {}): HostUsage =>
  host({
    uptimeMs: 1_060_000,
    cpus: [
      { id: 0, busyMs: 500_000, idleMs: 560_000, stolenMs: 0 },
      { id: 1, busyMs: 130_000, idleMs: 915_000, stolenMs: 15_000 },
    ],
    storage: {
      device: 'sda',
      readBytes: 600_000,
      readRequests: 60,
      writtenBytes: 1_200_000,
      writeRequests: 120,
      busyMs: 6000,
    },
    network: { receivedBytes: 60_000, sentBytes: 120_000 },
    pressure: { cpuSomeMs: 15_000, memorySomeMs: 0, memoryFullMs: 0, ioSomeMs: 6000, ioFullMs: 0 },
    domains: [
      domain({
        cpuTimeMs: 160_000,
        cpuWaitMs: 7000,
        disks: { readBytes: 12_000, readRequests: 12, writtenBytes: 24_000, writeRequests: 30 },
        network: { receivedBytes: 1200, sentBytes: 7200 },
      }),
    ],
    ...fields,
  });

test('counters become rates over the time that has passed on the host', () => {
  const { host: rates, domains } = ratesBetween(host(), later(), gapMs)!;
  assert.deepEqual(rates, {
    seconds: 60,
    threads: 2,
    cpusBusy: 0.5,
    busiestCpu: 0.5,
    cpusStolen: 0.25,
    load: 1.5,
    memoryMib: 8192,
    memoryUsedMib: 4096,
    swapUsedMib: 0,
    readBytes: 10_000,
    writtenBytes: 20_000,
    diskRequests: 3,
    diskBusy: 0.1,
    receivedBytes: 1000,
    sentBytes: 2000,
    cpuPressure: 0.25,
    memoryPressure: 0,
    ioPressure: 0.1,
  });
  assert.deepEqual(domains, [
    {
      uuid: 'web',
      vcpus: 2,
      cpus: 1,
      cpusWaiting: 0.1,
      memoryMib: 2048,
      memoryUsedMib: 512,
      residentMib: 1024,
      readBytes: 100,
      writtenBytes: 200,
      diskRequests: 0.4,
      receivedBytes: 10,
      sentBytes: 100,
    },
  ]);
});

test('nothing is said at first, after a restart of the host, after a long gap, and when no time has passed', () => {
  assert.equal(ratesBetween(undefined, later(), gapMs), undefined);
  assert.equal(ratesBetween(host(), later({ bootId: 'second', uptimeMs: 2_000_000 }), gapMs), undefined);
  assert.equal(ratesBetween(host(), later({ uptimeMs: 1_000_000 + gapMs + 1 }), gapMs), undefined);
  assert.equal(ratesBetween(host(), host(), gapMs), undefined);
});

test('samples that were missed are made up for by one rate over all of the time', () => {
  const { host: rates } = ratesBetween(host(), later({ uptimeMs: 1_180_000 }), gapMs)!;
  assert.deepEqual([rates.seconds, rates.receivedBytes], [180, 60_000 / 180]);
});

test('a domain that was started in between has used what its new counters show', () => {
  const again = domain({
    run: '2',
    cpuTimeMs: 6000,
    cpuWaitMs: 0,
    disks: { readBytes: 60, readRequests: 6, writtenBytes: 0, writeRequests: 0 },
  });
  const [rates] = ratesBetween(host(), later({ domains: [again] }), gapMs)!.domains;
  assert.deepEqual([rates?.cpus, rates?.readBytes], [0.1, 1]);
  const [first] = ratesBetween(host({ domains: [] }), later({ domains: [again] }), gapMs)!.domains;
  assert.deepEqual([first?.cpus, first?.readBytes], [0.1, 1]);
});

test('a domain that had not been told of before begins with the next sample', () => {
  const longOn = domain({ cpuTimeMs: 86_400_000 });
  assert.deepEqual(ratesBetween(host({ domains: [] }), later({ domains: [longOn] }), gapMs)!.domains, []);
});

test('a counter that went back because a device was pulled says nothing, and the others go on', () => {
  const pulled = domain({
    cpuTimeMs: 130_000,
    disks: { readBytes: 10, readRequests: 1, writtenBytes: 24_000, writeRequests: 30 },
  });
  const [rates] = ratesBetween(host(), later({ domains: [pulled] }), gapMs)!.domains;
  assert.deepEqual([rates?.cpus, rates?.readBytes, rates?.writtenBytes], [0.5, null, 200]);
  const unknown = domain({ disks: null, cpuWaitMs: null });
  const [busy] = ratesBetween(host(), later({ domains: [unknown] }), gapMs)!.domains;
  assert.deepEqual([busy?.readBytes, busy?.diskRequests, busy?.cpusWaiting], [null, null, null]);
});

test('a storage on another device, a CPU that is new and a kernel without pressure are no rates out of nothing', () => {
  const changed = later({
    storage: { device: 'sdb', readBytes: 9e12, readRequests: 1, writtenBytes: 1, writeRequests: 1, busyMs: 1 },
    cpus: [...later().cpus, { id: 2, busyMs: 9e9, idleMs: 0, stolenMs: 0 }],
    pressure: null,
  });
  const { host: rates } = ratesBetween(host(), changed, gapMs)!;
  assert.deepEqual([rates.readBytes, rates.diskBusy, rates.cpusBusy, rates.cpuPressure], [null, null, 0.5, null]);
});

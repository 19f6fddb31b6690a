import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostId, InstanceId } from '@virga/contract/ids';
import { buildReport, type ReportedHost, type ReportedInstance } from './usage-report.ts';

const daySeconds = 86_400;
const hostId = (n: number) => `host-${n.toString(16).padStart(17, '0')}` as HostId;
const types = [
  { name: 'medium', vcpus: 2, memoryMib: 2048, diskGib: 20 },
  { name: 'large', vcpus: 4, memoryMib: 8192, diskGib: 80 },
];
const host = (n: number, fields: Partial<ReportedHost> = {}): ReportedHost => ({
  id: hostId(n),
  name: `host-${n}`,
  ready: true,
  threads: 16,
  memoryMib: 20_000,
  schedulableVcpus: 64,
  schedulableMemoryMib: 18_000,
  seen: { seconds: 7 * daySeconds, cpusAverage: 1.6, cpusP95: 4, memoryUsedMib: 5000 },
  ...fields,
});
let count = 0;
const instance = (onHost: number, fields: Partial<ReportedInstance> = {}): ReportedInstance => {
  const id = `i-${(++count).toString(16).padStart(17, '0')}` as InstanceId;
  return {
    id,
    name: id,
    projectId: 'proj-00000000000000001',
    hostId: hostId(onHost),
    type: 'large',
    vcpus: 4,
    memoryMib: 8192,
    leastMemoryMib: 128,
    cpuPolicy: 'shared',
    hugePageKib: null,
    residentMib: 3000,
    seen: {
      seconds: 7 * daySeconds,
      cpusAverage: 0.2,
      cpusP95: 0.7,
      cpusPeak: 1.5,
      cpusWaiting: 0,
      memoryUsedP95Mib: 1000,
      residentP95Mib: 3000,
      diskBytesPerSecond: 1e6,
      networkBytesPerSecond: 1e6,
    },
    ...fields,
  };
};
const idle = (onHost: number): ReportedInstance => {
  const one = instance(onHost);
  return { ...one, seen: { ...one.seen!, cpusP95: 0.01, diskBytesPerSecond: 0, networkBytesPerSecond: 0 } };
};
const report = (hosts: ReportedHost[], instances: ReportedInstance[]) =>
  buildReport({
    from: new Date('2030-01-01Z'),
    to: new Date('2030-01-08Z'),
    minimumSeconds: daySeconds,
    limit: 100,
    hosts,
    instances,
    types,
  });

test('hosts that are kept for memory that nobody uses can go once instances have the size that they need', () => {
  const hosts = [host(1), host(2), host(3)];
  const { packing, frees, cloud } = report(
    hosts,
    [1, 1, 2, 2, 3, 3].map((on) => instance(on)),
  );
  const { reason: _, ...counts } = packing;
  assert.deepEqual(counts, { hostsInUse: 3, hostsNeeded: 3, hostsNeededAfterRightSizing: 1 });
  assert.deepEqual(frees.oversized, { vcpus: 12, memoryMib: 6 * 6144 });
  assert.deepEqual([cloud.vcpusPerThread, cloud.memoryPromisedPerResident, cloud.cpuAveragePercent], [0.5, 2.73, 10]);
});

test('idle instances need no host once they are off', () => {
  const { packing } = report(
    [host(1), host(2)],
    [instance(1, { type: 'medium', vcpus: 2, memoryMib: 2048 }), idle(2), idle(2)],
  );
  assert.deepEqual([packing.hostsInUse, packing.hostsNeeded, packing.hostsNeededAfterRightSizing], [2, 2, 1]);
});

test('who was not seen for long enough, or has CPUs of its own, may need all of them', () => {
  const hosts = [host(1, { threads: 5 }), host(2, { threads: 5 })];
  const small = { memoryMib: 2048 };
  const [first, second] = [instance(1, small), instance(2, small)];
  assert.equal(report(hosts, [first, second]).packing.hostsNeeded, 1);
  const unknown = report(hosts, [first, { ...second, seen: null }]).packing;
  assert.equal(unknown.hostsNeeded, 2);
  assert.match(unknown.reason, /1 of 2 instances, not seen for long enough, with all of their vCPUs/);
  assert.equal(report(hosts, [first, { ...second, cpuPolicy: 'dedicated' }]).packing.hostsNeeded, 2);
});

test('nothing is packed on a host that is away', () => {
  const roomy = { schedulableMemoryMib: 40_000 };
  const instances = [instance(1), instance(2), instance(3)];
  assert.equal(report([host(1), host(2), host(3, roomy)], instances).packing.hostsNeeded, 1);
  assert.equal(report([host(1), host(2), host(3, { ...roomy, ready: false })], instances).packing.hostsNeeded, 2);
});

test('a cloud in which nothing is on and nothing was seen has a report too', () => {
  const empty = report([host(1, { seen: null })], []);
  assert.deepEqual([empty.cloud.cpuAveragePercent, empty.cloud.memoryPromisedPerResident], [null, null]);
  assert.deepEqual([empty.packing.hostsInUse, empty.packing.hostsNeeded], [0, 0]);
});

test('no more instances are listed than were asked for, those that free most first', () => {
  const many = [instance(1), idle(1), instance(1, { seen: null })];
  const all = report([host(1)], many);
  assert.deepEqual(
    all.instances.map(({ verdict }) => verdict),
    ['idle', 'oversized', 'unknown'],
  );
  const limited = buildReport({
    from: new Date(0),
    to: new Date(1),
    minimumSeconds: daySeconds,
    limit: 1,
    hosts: [host(1)],
    instances: many,
    types,
  });
  assert.deepEqual([limited.instances.length, limited.counts.oversized], [1, 1]);
});

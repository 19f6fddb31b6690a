// Examples of usage over time: a host and an instance over an hour, and a report.
import type { HostUsagePoint, InstanceUsagePoint, InstanceVerdict, UsageReport } from '@virga/contract/rest/host-usage';
import { anInstance } from './contract-examples.ts';

const from = '2026-03-01T13:00:00.000Z';
const to = '2026-03-01T14:00:00.000Z';
const minutes = Array.from({ length: 60 }, (_, minute) => minute);
const atMinute = (minute: number) => new Date(Date.parse(from) + (minute + 1) * 60_000).toISOString();

const hostPoint = (minute: number): HostUsagePoint => ({
  at: atMinute(minute),
  seconds: 60,
  threads: 8,
  cpusBusy: minute / 15,
  cpusBusyMax: minute / 15,
  busiestCpu: 0.5,
  cpusStolen: 0,
  load: 1.25,
  memoryMib: 16_384,
  memoryUsedMib: 4096,
  memoryUsedMibMax: 4096,
  swapUsedMib: 0,
  readBytesPerSecond: 1024,
  writtenBytesPerSecond: 1_048_576,
  diskRequestsPerSecond: 12,
  diskBusy: 0.05,
  receivedBytesPerSecond: 2048,
  sentBytesPerSecond: 4096,
  cpuPressure: 0.01,
  memoryPressure: 0,
  ioPressure: 0,
});

const instancePoint = (minute: number): InstanceUsagePoint => ({
  at: atMinute(minute),
  seconds: 60,
  vcpus: 2,
  cpusBusy: minute < 30 ? 0.02 : 1.5,
  cpusBusyMax: minute < 30 ? 0.02 : 1.5,
  cpusWaiting: 0,
  memoryMib: 2048,
  memoryUsedMib: 512,
  memoryUsedMibMax: 512,
  residentMib: 900,
  readBytesPerSecond: 0,
  writtenBytesPerSecond: 4096,
  diskRequestsPerSecond: 1,
  receivedBytesPerSecond: 100,
  sentBytesPerSecond: null,
});

export const aHostUsage = () => ({ from, to, step: 'sample' as const, points: minutes.map(hostPoint) });
export const anInstanceUsage = () => ({ from, to, step: 'sample' as const, points: minutes.map(instancePoint) });

/** What virga stats shows of an instance that does nothing. */
export const anIdleUsage = {
  id: anInstance().id,
  name: 'web',
  cpuPercent: 0,
  memoryBytes: 536_870_912,
  residentBytes: 134_217_728,
  readBytesPerSecond: 0,
  writtenBytesPerSecond: 0,
  receivedBytesPerSecond: 0,
  sentBytesPerSecond: 0,
};

export const anInstanceVerdict = (fields: Partial<InstanceVerdict> = {}): InstanceVerdict => ({
  id: 'i-00000000000000001',
  name: 'web',
  projectId: 'proj-00000000000000001',
  hostId: 'host-00000000000000001',
  type: 'large',
  vcpus: 4,
  memoryMib: 8192,
  verdict: 'oversized',
  reason: '95 % of the time it uses at most 0.5 of 4 vCPUs and 1000 of 8192 MiB.',
  seenHours: 168,
  cpuAveragePercent: 4.1,
  cpuP95Percent: 12.5,
  cpuPeakPercent: 30,
  memoryP95Mib: 1000,
  memorySource: 'guest',
  recommendedType: 'medium',
  frees: { vcpus: 2, memoryMib: 6144 },
  ...fields,
});

export const aUsageReport = (fields: Partial<UsageReport> = {}): UsageReport => ({
  from: '2026-02-22T14:00:00.000Z',
  to,
  minimumHours: 24,
  cloud: {
    hosts: 1,
    instances: 2,
    instancesPerHost: 2,
    threads: 8,
    vcpus: 5,
    vcpusPerThread: 0.63,
    cpuAveragePercent: 12.3,
    memoryMib: 16_384,
    memoryPromisedMib: 8448,
    memoryResidentMib: 1200,
    memoryPromisedPerResident: 7.04,
  },
  hosts: [
    {
      id: 'host-00000000000000001',
      name: 'alpha',
      seenHours: 168,
      instances: 2,
      threads: 8,
      vcpus: 5,
      vcpusPerThread: 0.63,
      cpuAveragePercent: 12.3,
      cpuP95Percent: 40,
      memoryMib: 16_384,
      memoryPromisedMib: 8448,
      memoryResidentMib: 1200,
      memoryUsedPercent: 20.5,
    },
  ],
  counts: { idle: 0, oversized: 1, undersized: 0, fitting: 0, unknown: 1 },
  instances: [
    anInstanceVerdict(),
    anInstanceVerdict({
      id: 'i-00000000000000002',
      name: 'new',
      type: 'tiny',
      vcpus: 1,
      memoryMib: 256,
      verdict: 'unknown',
      reason: 'Not enough seen yet: 2 h of the 24 h that are needed.',
      seenHours: 2,
      recommendedType: null,
      frees: { vcpus: 0, memoryMib: 0 },
    }),
  ],
  frees: { idle: { vcpus: 0, memoryMib: 0 }, oversized: { vcpus: 2, memoryMib: 6144 } },
  packing: {
    hostsInUse: 1,
    hostsNeeded: 1,
    hostsNeededAfterRightSizing: 1,
    reason: 'Memory as it is promised, processors as they are used 95 % of the time, a fifth of each host free.',
  },
  ...fields,
});

/** What a server answers that knows just these. */
export const usageAnswers = {
  getHostUsage: aHostUsage,
  getInstanceUsage: anInstanceUsage,
  getUsageReport: () => aUsageReport(),
  getMetrics: () => '',
};

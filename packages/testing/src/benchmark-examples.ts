// A benchmark of a host for tests of what shows one: every verdict, something that could not be measured, and emulation. The
// figures are made up.
import type { MeasuredComparison } from '@virga/contract/agent/host-bench';
import type { HostBenchmark } from '@virga/contract/rest/host-bench';
import { judge, recommendationsOf } from '@virga/control-plane/modules/hosts/bench/judge';

const measured: MeasuredComparison[] = [
  {
    name: 'pinning',
    title: 'CPU pinning under contention',
    device: null,
    conditions: ['One vCPU works while another guest keeps every CPU busy.'],
    notPossible: null,
    tookSeconds: 61,
    metrics: [
      {
        name: 'cache-sensitive work',
        unit: 'M loads/s',
        better: 'higher',
        settings: [
          { name: 'anywhere', samples: [10, 11, 10.5, 9.8, 10.2, 10.9] },
          { name: 'pinned', samples: [10.1, 10.8, 10.6, 9.9, 10, 11] },
          { name: 'a CPU of its own', samples: [14, 15.2, 14.8, 13.9, 14.1, 15.5] },
        ],
      },
    ],
  },
  {
    name: 'thp',
    title: 'transparent huge pages',
    device: null,
    conditions: [],
    notPossible: null,
    tookSeconds: 140,
    metrics: [
      {
        name: 'first touch',
        unit: 'MiB/s',
        better: 'higher',
        settings: [
          { name: 'madvise', samples: [1000, 1010, 990, 1005, 1002, 998] },
          { name: 'always', samples: [1001, 1000, 1004, 996, 1010, 991] },
          { name: 'never', samples: [500, 512, 490, 505, 499, 501] },
        ],
      },
    ],
  },
  {
    name: 'ksm',
    title: 'merging of equal pages (KSM)',
    device: null,
    conditions: [],
    notPossible: null,
    tookSeconds: 90,
    metrics: [
      {
        name: 'time to converge',
        unit: 's',
        better: 'lower',
        settings: [
          { name: '100 pages a round', samples: [30, 31, 29, 33, 30, 32] },
          { name: '1000 pages a round', samples: [4, 4.2, 3.9, 4.4, 4, 4.1] },
        ],
      },
    ],
  },
  {
    name: 'nested-paging',
    title: 'nested paging',
    device: null,
    conditions: [],
    notPossible:
      'not possible here, because guests are emulated on this host: no processor translates addresses for them',
    tookSeconds: 0,
    metrics: [],
  },
];

export function aHostBenchmark(fields: Partial<HostBenchmark> = {}): HostBenchmark {
  const comparisons = measured.map(judge);
  return {
    id: 'bench-00000000000000001',
    hostId: 'host-00000000000000001',
    hostName: 'alpha',
    state: 'succeeded',
    stateReason: null,
    setup: { comparisons: ['pinning', 'thp', 'ksm', 'nested-paging'], pairs: 6, seconds: 2, force: false },
    conditions: {
      acceleration: 'tcg',
      cpuModel: 'Example CPU',
      cpuThreads: 8,
      memoryMib: 32_768,
      kernelVersion: '6.1.0',
      hypervisorVersion: '7.2.0',
    },
    comparisons,
    recommendations: recommendationsOf(comparisons),
    operationId: 'op-00000000000000001',
    createdAt: '2026-03-01T12:00:00.000Z',
    finishedAt: '2026-03-01T12:10:00.000Z',
    ...fields,
  };
}

// Benchmarks of hosts: what was measured on one, and what it means. A benchmark is a run of several comparisons.
import { type Static, Type } from 'typebox';
import { BenchComparisonName, BenchSetup, MeasuredComparison, MeasuredMetric } from '../agent/host-bench.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Nullable, Page, pageQuery, Time } from './shared.ts';

/** Of figures that were measured; none of them is smoothed or left out. */
export const Spread = Type.Object({
  median: Type.Number(),
  lowerQuartile: Type.Number(),
  upperQuartile: Type.Number(),
});
export type Spread = Static<typeof Spread>;

/** What a setting brings over the first: of each round the one figure over the other, and of these the median. */
export const Ratio = Type.Object({
  median: Type.Number(),
  /** The median of all rounds there could be is between these, with that confidence. */
  low: Type.Number(),
  high: Type.Number(),
  confidencePercent: Type.Number(),
});
export type Ratio = Static<typeof Ratio>;

export const BenchVerdict = Type.Union([
  Type.Literal('baseline', { description: 'what the others are compared with' }),
  Type.Literal('better'),
  Type.Literal('worse'),
  Type.Literal('no measurable difference'),
  Type.Literal('too few pairs', { description: 'to say anything with 95 % confidence: that takes six' }),
]);
export type BenchVerdict = Static<typeof BenchVerdict>;

export const JudgedMetric = Type.Object({
  name: MeasuredMetric.properties.name,
  unit: MeasuredMetric.properties.unit,
  better: MeasuredMetric.properties.better,
  settings: Type.Array(
    Type.Object({
      name: Type.String(),
      samples: Type.Array(Type.Number(), { description: 'in the order of the rounds' }),
      spread: Spread,
      ratio: Nullable(Ratio),
      verdict: BenchVerdict,
    }),
  ),
});
export type JudgedMetric = Static<typeof JudgedMetric>;

export const JudgedComparison = Type.Object({
  name: MeasuredComparison.properties.name,
  title: Type.String(),
  device: MeasuredComparison.properties.device,
  conditions: Type.Array(Type.String()),
  notPossible: Nullable(Type.String()),
  tookSeconds: Type.Integer(),
  metrics: Type.Array(JudgedMetric),
});
export type JudgedComparison = Static<typeof JudgedComparison>;

/** What a benchmark says should be done: a knob of the host's tuning, or what instances should ask for. */
export const Recommendation = Type.Object({
  comparison: BenchComparisonName,
  setting: Type.String(),
  /** As `virga hosts tune` takes it; null: it is of instances. */
  override: Nullable(Type.Object({ knob: Type.String(), value: Type.String() })),
  sentence: Type.String(),
});
export type Recommendation = Static<typeof Recommendation>;

export const HostBenchmark = Type.Object(
  {
    id: IdSchema('benchmark'),
    hostId: IdSchema('host'),
    hostName: Type.String(),
    state: Type.Union([
      Type.Literal('running'),
      Type.Literal('succeeded'),
      Type.Literal('failed'),
      Type.Literal('cancelled'),
    ]),
    stateReason: Nullable(Type.String()),
    setup: Type.Object({
      ...BenchSetup.properties,
      comparisons: Type.Array(BenchComparisonName),
      force: Type.Boolean(),
    }),
    /** What the host was when it began. */
    conditions: Type.Object({
      acceleration: Nullable(Type.Union([Type.Literal('kvm'), Type.Literal('tcg')])),
      cpuModel: Nullable(Type.String()),
      cpuThreads: Nullable(Type.Integer()),
      memoryMib: Nullable(Type.Integer()),
      kernelVersion: Nullable(Type.String()),
      hypervisorVersion: Nullable(Type.String()),
    }),
    comparisons: Type.Array(JudgedComparison),
    recommendations: Type.Array(Recommendation),
    operationId: IdSchema('operation'),
    createdAt: Time,
    finishedAt: Nullable(Time),
  },
  { $id: 'HostBenchmark' },
);
export type HostBenchmark = Static<typeof HostBenchmark>;

export const defaultBenchSetup: BenchSetup = { pairs: 6, seconds: 2 };

export const hostBenchRoutes = {
  benchmarkHost: route({
    method: 'POST',
    path: '/v1/hosts/{id}/benchmarks',
    summary: 'Measure a host with guests of its own: settings against each other, in alternating pairs',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('host'),
    body: Type.Object(
      {
        comparisons: Type.Optional(
          Type.Array(BenchComparisonName, { minItems: 1, uniqueItems: true, description: 'default all' }),
        ),
        pairs: Type.Optional(BenchSetup.properties.pairs),
        seconds: Type.Optional(BenchSetup.properties.seconds),
        force: Type.Optional(Type.Boolean({ description: 'also while other guests run on the host' })),
      },
      { additionalProperties: false },
    ),
    ok: HostBenchmark,
    status: 202,
  }),
  listHostBenchmarks: route({
    method: 'GET',
    path: '/v1/hosts/{id}/benchmarks',
    summary: 'List the benchmarks of a host, newest first',
    access: { scope: 'cloud', role: 'viewer' },
    params: idParams('host'),
    query: Type.Object(pageQuery),
    ok: Page(HostBenchmark),
  }),
  getHostBenchmark: route({
    method: 'GET',
    path: '/v1/host-benchmarks/{id}',
    summary: 'Show a benchmark: what was measured, and what it means',
    access: { scope: 'cloud', role: 'viewer' },
    params: idParams('benchmark'),
    ok: HostBenchmark,
  }),
  cancelHostBenchmark: route({
    method: 'POST',
    path: '/v1/host-benchmarks/{id}/cancel',
    summary: 'End a benchmark that runs; comparisons that have ended keep their figures',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('benchmark'),
    ok: HostBenchmark,
    status: 202,
  }),
};

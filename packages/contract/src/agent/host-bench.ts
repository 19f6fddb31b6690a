// Comparisons on a host, measured with real guests of its own: the same work with a setting and without it, in turn. The
// agent answers what it measured, nothing else; what it means is worked out elsewhere.
import { type Static, Type } from 'typebox';
import type { CallContext } from './call-context.ts';

/** In the order in which they are run. */
export const benchComparisons = [
  'pinning',
  'thp',
  'huge-pages',
  'ksm',
  'disk-cache',
  'io-scheduler',
  'disk-bus',
  'network-card',
  'nested-paging',
] as const;
export type BenchComparisonName = (typeof benchComparisons)[number];
export const BenchComparisonName = Type.Unsafe<BenchComparisonName>(
  Type.Union(benchComparisons.map((name) => Type.Literal(name))),
);

export const BenchSetup = Type.Object(
  {
    pairs: Type.Integer({ minimum: 1, maximum: 100, description: 'how often each setting is measured' }),
    seconds: Type.Integer({ minimum: 1, maximum: 60, description: 'of each measurement' }),
  },
  { additionalProperties: false },
);
export type BenchSetup = Static<typeof BenchSetup>;

/** One figure of each setting, in the order of the rounds: those of one round were measured one after the other. */
export const MeasuredMetric = Type.Object({
  name: Type.String(),
  unit: Type.String(),
  better: Type.Union([Type.Literal('higher'), Type.Literal('lower')]),
  /** The first is what the others are compared with. */
  settings: Type.Array(Type.Object({ name: Type.String(), samples: Type.Array(Type.Number()) })),
});
export type MeasuredMetric = Static<typeof MeasuredMetric>;

export const MeasuredComparison = Type.Object({
  name: BenchComparisonName,
  title: Type.String(),
  /** The device of the host that it is about, such as sda. */
  device: Type.Union([Type.String(), Type.Null()]),
  /** What else bears on the figures, a sentence each. */
  conditions: Type.Array(Type.String()),
  /** Why nothing of it was measured here. */
  notPossible: Type.Union([Type.String(), Type.Null()]),
  metrics: Type.Array(MeasuredMetric),
  tookSeconds: Type.Integer(),
});
export type MeasuredComparison = Static<typeof MeasuredComparison>;

export type BenchRequest = BenchSetup & {
  comparison: BenchComparisonName;
  /** Also while other guests run. */
  force: boolean;
};

export interface HostBenchmarking {
  /**
   * Runs one comparison. Guests, disks and networks that it makes, and settings of the host that it changes, are gone and as
   * before when it ends, however it ends; after a crash the next start of the agent sees to that. One at a time on a host.
   * @throws Conflict other guests run, or another comparison does | OperationFailed a guest did not do its work
   * @throws HostUnavailable | StorageFull
   */
  compare(request: BenchRequest, context?: CallContext): Promise<MeasuredComparison>;
}

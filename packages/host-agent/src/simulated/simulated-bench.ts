// Comparisons on a simulated host: nothing can be measured there, so each is not possible, unless a test says what happens.
import type { CallContext } from '@virga/contract/agent/agent';
import type {
  BenchComparisonName,
  BenchRequest,
  HostBenchmarking,
  MeasuredComparison,
} from '@virga/contract/agent/host-bench';
import type { Calls } from './call-steps.ts';
import type { SimulatedHost } from './simulated-host.ts';

type Measured = Omit<MeasuredComparison, 'name' | 'tookSeconds'>;
type Run = (request: BenchRequest, context: CallContext) => Measured | Promise<Measured>;

export type BenchControls = {
  /** What a comparison comes to from now on. */
  setComparison(name: BenchComparisonName, run: Run): void;
};

const runsOfHosts = new WeakMap<SimulatedHost, Map<BenchComparisonName, Run>>();

function runsOf(host: SimulatedHost): Map<BenchComparisonName, Run> {
  const known = runsOfHosts.get(host) ?? new Map<BenchComparisonName, Run>();
  runsOfHosts.set(host, known);
  return known;
}

const simulated: Run = ({ comparison }) => ({
  title: comparison,
  device: null,
  conditions: [],
  notPossible: 'not possible here, because the host is simulated',
  metrics: [],
});

export const simulatedBench = (host: SimulatedHost, calls: Calls): HostBenchmarking => ({
  compare: (request, context) =>
    calls.run('compare', request.comparison, context, async () => {
      const run = runsOf(host).get(request.comparison) ?? simulated;
      return { name: request.comparison, ...(await run(request, context ?? {})), tookSeconds: 0 };
    }),
});

export const benchControls = (host: SimulatedHost): BenchControls => ({
  setComparison: (name, run) => void runsOf(host).set(name, run),
});

// Benchmarks from request to report, on a simulated host whose figures are those that the test says.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { BenchComparisonName, BenchRequest, MeasuredComparison } from '@virga/contract/agent/host-bench';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { benchmarkHost, cancelHostBenchmark, getHostBenchmark, listHostBenchmarks } from './benchmark-operations.ts';

let cloud: SimulatedCloud;
let id: HostId;
let asked: BenchRequest[];
before(async () => {
  cloud = await SimulatedCloud.start();
  id = cloud.deps.agents.all()[0]!.id;
});
beforeEach(() => {
  asked = [];
});
after(() => cloud.close());

type Figures = Record<string, number[]>;

const measured = (figures: Figures): Omit<MeasuredComparison, 'name' | 'tookSeconds'> => ({
  title: 'a comparison',
  device: 'sda',
  conditions: [],
  notPossible: null,
  metrics: [
    {
      name: 'random reads',
      unit: 'IOPS',
      better: 'higher',
      settings: Object.entries(figures).map(([name, samples]) => ({ name, samples })),
    },
  ],
});

const script = (name: BenchComparisonName, figures: Figures) =>
  cloud.host().setComparison(name, (request) => {
    asked.push(request);
    return measured(figures);
  });

const bench = (body: Parameters<typeof benchmarkHost>[3]) => benchmarkHost(cloud.deps, cloud.administrator, id, body);
const read = (benchmark: { id: Parameters<typeof getHostBenchmark>[2] }) =>
  getHostBenchmark(cloud.deps.db, cloud.administrator, benchmark.id);

test('comparisons are made in the order of the table, judged, and what won is recommended with its knob', async () => {
  script('thp', { madvise: [10, 10, 10, 10, 10, 10], always: [10, 11, 9, 10, 11, 9], never: [5, 5, 5, 5, 5, 5] });
  script('io-scheduler', { 'mq-deadline': [10, 11, 12, 10, 11, 12], none: [12, 13, 14, 12, 13, 14] });
  const begun = await bench({ comparisons: ['nested-paging', 'io-scheduler', 'thp'], pairs: 6, seconds: 1 });
  assert.deepEqual([begun.state, begun.comparisons], ['running', []]);
  await cloud.succeeded(begun.operationId);
  const benchmark = await read(begun);
  assert.deepEqual(
    [benchmark.state, benchmark.conditions.acceleration, benchmark.finishedAt === null],
    ['succeeded', 'tcg', false],
  );
  assert.deepEqual(asked, [
    { comparison: 'thp', pairs: 6, seconds: 1, force: false },
    { comparison: 'io-scheduler', pairs: 6, seconds: 1, force: false },
  ]);
  const [thp, scheduler, paging] = benchmark.comparisons;
  assert.deepEqual(
    thp?.metrics[0]?.settings.map(({ name, verdict }) => [name, verdict]),
    [
      ['madvise', 'baseline'],
      ['always', 'no measurable difference'],
      ['never', 'worse'],
    ],
  );
  assert.equal(scheduler?.metrics[0]?.settings[1]?.verdict, 'better');
  assert.deepEqual([paging?.notPossible, paging?.metrics], ['not possible here, because the host is simulated', []]);
  assert.deepEqual(
    benchmark.recommendations.map(({ override }) => override),
    [{ knob: 'ioScheduler.sda', value: 'none' }],
  );
  const { items } = await listHostBenchmarks(cloud.deps.db, cloud.administrator, id, { limit: 1 });
  assert.deepEqual(items, [benchmark]);
});

test('one runs on a host at a time, and one that is cancelled keeps what was measured', async () => {
  script('thp', { madvise: [1], never: [2] });
  const reached = Promise.withResolvers<void>();
  cloud.host().setComparison('ksm', async (_, { signal, onProgress }) => {
    onProgress?.('merging', 50);
    reached.resolve();
    await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    throw new Error('not reached');
  });
  const begun = await bench({ comparisons: ['thp', 'ksm'], pairs: 1, seconds: 1 });
  await reached.promise;
  await until('progress is told', async () => {
    const row = cloud.deps.db.selectFrom('operations').selectAll().where('id', '=', begun.operationId);
    const { message, progress_percent } = await row.executeTakeFirstOrThrow();
    return message === 'merging' && progress_percent === 75;
  });
  await assert.rejects(
    bench({}),
    (error) => error instanceof VirgaError && error.code === 'Conflict' && error.detail.includes(begun.id),
  );
  await cancelHostBenchmark(cloud.deps, cloud.administrator, begun.id);
  const { code } = await cloud.failed(begun.operationId);
  assert.equal(code, 'Conflict');
  const { state, stateReason, comparisons } = await read(begun);
  assert.deepEqual(
    [state, stateReason, comparisons.map(({ name }) => name)],
    ['cancelled', 'The benchmark was cancelled.', ['thp']],
  );
  assert.equal((await cancelHostBenchmark(cloud.deps, cloud.administrator, begun.id)).state, 'cancelled');
});

test('what a host refuses fails with its sentence, and another one may begin', async () => {
  cloud.host().setComparison('pinning', () => {
    throw new VirgaError('Conflict', { detail: 'While 2 guests run.', action: 'Stop them.' });
  });
  const begun = await bench({ comparisons: ['pinning'] });
  assert.equal((await cloud.failed(begun.operationId)).detail, 'While 2 guests run.');
  assert.deepEqual([(await read(begun)).state, (await read(begun)).stateReason], ['failed', 'While 2 guests run.']);
  script('pinning', { anywhere: [1], pinned: [1] });
  const again = await bench({ comparisons: ['pinning'] });
  await cloud.succeeded(again.operationId);
  assert.equal((await read(again)).comparisons[0]?.metrics[0]?.settings[1]?.verdict, 'too few pairs');
});

test('a server that is killed goes on with the comparison that had not ended, and measures none twice', async () => {
  script('pinning', { anywhere: [1], pinned: [1] });
  const reached = Promise.withResolvers<void>();
  cloud.host().setComparison('thp', async () => {
    reached.resolve();
    await new Promise(() => {});
    throw new Error('not reached');
  });
  const begun = await bench({ comparisons: ['pinning', 'thp'], pairs: 1 });
  await reached.promise;
  await cloud.kill();
  script('thp', { madvise: [1], never: [1] });
  await cloud.startAgain();
  await cloud.succeeded(begun.operationId);
  assert.deepEqual(
    asked.map(({ comparison }) => comparison),
    ['pinning', 'thp'],
  );
  assert.equal((await read(begun)).comparisons.length, 2);
});

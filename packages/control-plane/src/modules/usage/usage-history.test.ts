// The history of usage from the hosts to the report, on simulated hosts whose guests use what the test says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';
import type { Instance } from '@virga/contract/rest/instances';
import { SettableClock } from '@virga/testing/settable-clock';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { systemAccess } from '../../access/system-access.ts';
import type { Deps } from '../../deps.ts';
import { launchInstance } from '../instances/instance-operations.ts';
import { usageMetrics } from './usage-metrics.ts';
import { hostUsage, instanceUsage, usageReport } from './usage-operations.ts';
import { keepHistory, UsageRecorder } from './usage-recorder.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const start = new Date('2030-01-07T00:00:00Z');
const access = systemAccess('usage');

type Load = Parameters<ReturnType<SimulatedCloud['host']>['setLoad']>[1];

/** A cloud in which time passes, and samples are taken, only when the test says so. */
async function cloudIn(hosts: number, periodMs: number) {
  const clock = new SettableClock(start);
  // The hosts have a clock of their own, which nobody sets.
  let upMs = start.getTime();
  const delay = async (ms: number, signal?: AbortSignal) => {
    await sleep(ms, undefined, { signal });
  };
  const hostClock = { now: () => upMs, delay };
  const options = { clock: hostClock, cpuThreads: 4, memoryMib: 32_768 };
  const cloud = await SimulatedCloud.start({
    hosts: Array.from({ length: hosts }, () => options),
    clock,
    settings: { usagePeriodMs: 0 },
  });
  await cloud.prepare();
  const deps: Deps = { ...cloud.deps, settings: { ...cloud.deps.settings, usagePeriodMs: periodMs } };
  const recordersOf = () => deps.agents.all().map((host) => new UsageRecorder(deps, access, host));
  let recorders = recordersOf();
  const sample = async () => {
    for (const recorder of recorders) await recorder.record();
  };
  const launch = async (name: string, type: string) => {
    const { instance, operationId } = await launchInstance(deps, cloud.operator, { ...launchOf(name), type });
    await cloud.succeeded(operationId);
    return cloud.instance(instance.id);
  };
  return {
    cloud,
    deps,
    clock,
    launch,
    sample,
    restart: () => {
      recorders = recordersOf();
    },
    pass: async (ms: number) => {
      for (let passed = 0; passed < ms; passed += periodMs) {
        upMs += periodMs;
        clock.forward(periodMs);
        await sample();
      }
    },
    skip: (ms: number) => {
      upMs += ms;
      clock.forward(ms);
    },
  };
}

test('a day of use becomes a report: who is idle, what is too large or too small, what that frees, how many hosts would do', async () => {
  const { cloud, deps, launch, sample, pass } = await cloudIn(2, 5 * minuteMs);
  try {
    const idle = await launch('idle', 'large');
    const spacious = await launch('spacious', 'large');
    const cramped = await launch('cramped', 'tiny');
    const right = await launch('right', 'medium');
    // Either host may have one; it is of no account on the other.
    const setLoad = ({ id }: Instance, load: Load) => {
      for (const index of [0, 1]) cloud.host(index).setLoad(id, load);
    };
    setLoad(spacious, { cpus: 0.5, usedMemoryMib: 1000, receivedBytesPerSecond: 50_000 });
    setLoad(cramped, { cpus: 0.99, usedMemoryMib: 150, writtenBytesPerSecond: 1_000_000 });
    setLoad(right, { cpus: 1, usedMemoryMib: 1000, sentBytesPerSecond: 10_000 });
    await sample();
    await pass(2 * hourMs);
    await keepHistory(deps, access);

    const early = await usageReport(deps, cloud.administrator, {});
    assert.deepEqual(early.counts, { idle: 0, oversized: 0, undersized: 0, fitting: 0, unknown: 4 });
    assert.match(early.instances[0]!.reason, /^Not enough seen yet: 1\.8 h of the 24 h/);
    assert.equal((await usageReport(deps, cloud.administrator, { minimumHours: 1 })).counts.unknown, 0);

    await pass(23 * hourMs);
    await keepHistory(deps, access);
    const report = await usageReport(deps, cloud.administrator, {});
    assert.deepEqual(report.counts, { idle: 1, oversized: 1, undersized: 1, fitting: 1, unknown: 0 });
    assert.deepEqual(
      report.instances.map(({ id, verdict, recommendedType }) => [id, verdict, recommendedType]),
      [
        [idle.id, 'idle', null],
        [spacious.id, 'oversized', 'medium'],
        [cramped.id, 'undersized', 'medium'],
      ],
    );
    assert.deepEqual(report.frees, {
      idle: { vcpus: 4, memoryMib: 8192 },
      oversized: { vcpus: 2, memoryMib: 6144 },
    });
    assert.deepEqual(report.cloud, {
      hosts: 2,
      instances: 4,
      instancesPerHost: 2,
      threads: 8,
      vcpus: 11,
      vcpusPerThread: 1.38,
      cpuAveragePercent: 31.3,
      memoryMib: 65_536,
      memoryPromisedMib: 8192 + 8192 + 256 + 2048,
      memoryResidentMib: 4096 + 1000 + 150 + 1000,
      memoryPromisedPerResident: 2.99,
    });
    const { hostsInUse, hostsNeeded, hostsNeededAfterRightSizing } = report.packing;
    assert.deepEqual([hostsInUse, hostsNeeded, hostsNeededAfterRightSizing], [2, 1, 1]);
  } finally {
    await cloud.close();
  }
});

test('samples become averages over five minutes and hours, each with its highest value, and are forgotten in time', async () => {
  const { cloud, deps, launch, sample, pass, skip } = await cloudIn(1, minuteMs);
  try {
    const { id, hostId } = await launch('web', 'medium');
    await sample();
    cloud.host().setLoad(id, { cpus: 0.5 });
    await pass(30 * minuteMs);
    cloud.host().setLoad(id, { cpus: 1.5, usedMemoryMib: 512 });
    await pass(31 * minuteMs);
    await keepHistory(deps, access);
    await keepHistory(deps, access);

    const from = start.toISOString();
    const samples = await instanceUsage(deps, cloud.operator, id, { from });
    assert.equal(samples.step, 'sample');
    assert.equal(samples.points.length, 61);
    assert.deepEqual([samples.points[0]?.cpusBusy, samples.points[60]?.cpusBusy], [0.5, 1.5]);
    const fives = await instanceUsage(deps, cloud.operator, id, { from, step: '5m' });
    assert.equal(fives.points.length, 12, 'the thirteenth is not over');
    assert.deepEqual(
      fives.points.slice(0, 2).map(({ at, seconds }) => [at, seconds]),
      [
        ['2030-01-07T00:00:00.000Z', 240],
        ['2030-01-07T00:05:00.000Z', 300],
      ],
    );
    const [hour, ...more] = (await instanceUsage(deps, cloud.operator, id, { from, step: '1h' })).points;
    assert.deepEqual(more, []);
    assert.deepEqual([hour?.at, hour?.seconds, hour?.cpusBusyMax, hour?.memoryUsedMib], [from, 59 * 60, 1.5, 512]);
    assert.ok(Math.abs(hour!.cpusBusy - (30 * 0.5 + 29 * 1.5) / 59) < 0.001, String(hour!.cpusBusy));
    const { points } = await hostUsage(deps, cloud.administrator, hostId, { from, step: '1h' });
    assert.deepEqual([points[0]?.threads, points[0]?.cpusBusyMax, points[0]?.memoryMib], [4, 1.5, 32_768]);

    skip(2 * dayMs);
    await keepHistory(deps, access);
    const left = async () =>
      Promise.all(
        (['sample', '5m', '1h'] as const).map(
          async (step) =>
            (await instanceUsage(deps, cloud.operator, id, { from, to: '2030-01-07T02:00:00Z', step })).points.length,
        ),
      );
    assert.deepEqual(await left(), [0, 13, 2]);
    skip(14 * dayMs);
    await keepHistory(deps, access);
    assert.deepEqual(await left(), [0, 0, 2]);
    skip(366 * dayMs);
    await keepHistory(deps, access);
    assert.deepEqual(await left(), [0, 0, 0]);
  } finally {
    await cloud.close();
  }
});

test('a server that was restarted, a host that was away, a guest that was started anew and a clock that was set lie about nothing', async () => {
  const { cloud, deps, clock, launch, sample, pass, skip, restart } = await cloudIn(1, minuteMs);
  try {
    const { id } = await launch('web', 'medium');
    cloud.host().setLoad(id, { cpus: 0.5 });
    const seen = async () => {
      const { points } = await instanceUsage(deps, cloud.operator, id, {
        from: new Date(start.getTime() - dayMs).toISOString(),
        to: new Date(start.getTime() + dayMs).toISOString(),
        step: 'sample',
      });
      return points.map(({ cpusBusy, seconds }) => [cpusBusy, seconds]);
    };
    await sample();
    await pass(minuteMs);
    assert.deepEqual(await seen(), [[0.5, 60]]);

    restart();
    await pass(2 * minuteMs);
    assert.deepEqual((await seen()).slice(1), [[0.5, 60]], 'the first sample of a server begins');

    skip(3 * minuteMs);
    await sample();
    assert.deepEqual((await seen()).slice(2), [[0.5, 180]], 'samples that were missed are one average');
    skip(hourMs);
    await sample();
    assert.equal((await seen()).length, 3, 'an average over an hour is no sample');

    clock.forward(-2 * hourMs);
    await pass(minuteMs);
    await keepHistory(deps, access);
    assert.deepEqual((await seen())[0], [0.5, 60], 'it lies earlier now, and is as it was');
    clock.forward(2 * hourMs);

    await cloud.host().destroyOutside(id);
    await cloud.host().startOutside(id);
    skip(minuteMs);
    await sample();
    await pass(minuteMs);
    const now = await seen();
    assert.ok(
      now.every(([cpus]) => cpus! >= 0 && cpus! <= 0.5),
      JSON.stringify(now),
    );
    assert.deepEqual(now.at(-1), [0.5, 60]);
  } finally {
    await cloud.close();
  }
});

test('Prometheus gets what is now and not what was, and windows that make no sense are refused by their field', async () => {
  const { cloud, deps, launch, sample, pass, skip } = await cloudIn(1, minuteMs);
  try {
    const { id, hostId } = await launch('web', 'medium');
    cloud.host().setLoad(id, { cpus: 0.25, usedMemoryMib: 512, sentBytesPerSecond: 1000 });
    await sample();
    await pass(minuteMs);
    const text = await usageMetrics(deps, cloud.administrator);
    const line = `virga_instance_busy_threads{id="${id}",instance_name="web",project="default",host="host-1"} 0.25`;
    assert.ok(text.includes(`${line}\n`), text);
    assert.match(text, /^virga_host_busy_threads\{host="host-1"\} 0\.25$/m);
    assert.match(text, /^virga_instance_memory_used_bytes\{.*\} 536870912$/m);
    skip(4 * minuteMs);
    const stale = await usageMetrics(deps, cloud.administrator);
    assert.doesNotMatch(stale, /^virga_(instance|host)_busy/m);
    assert.match(stale, /^virga_host_ready\{host="host-1"\} 1$/m);

    const refused = (query: object, field: string) =>
      assert.rejects(
        hostUsage(deps, cloud.administrator, hostId, query),
        (error) => error instanceof VirgaError && error.code === 'InvalidArgument' && error.field === field,
      );
    await refused({ from: '2030-01-08T00:00:00Z', to: '2030-01-07T00:00:00Z' }, '/from');
    await refused({ to: 'tomorrow' }, '/to');
    await refused({ from: '2029-12-01T00:00:00Z', step: 'sample' }, '/step');
    const year = await hostUsage(deps, cloud.administrator, hostId, { from: '2029-02-01T00:00:00Z' });
    assert.equal(year.step, '1h');
  } finally {
    await cloud.close();
  }
});

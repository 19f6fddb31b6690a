// Comparisons on the real host, short: that each figure is there, that nothing of a run stays, and that one that was killed is
// made good for. What the figures are is nobody's promise.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BenchComparisonName, MeasuredComparison } from '@virga/contract/agent/host-bench';
import { VirgaError } from '@virga/contract/errors';
import { until } from '@virga/testing/until';
import { withKernelKnobs } from '../../host-system/testing/kernel-knobs.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';
import { BenchHolder } from './bench-holder.ts';
import { benchPrefix } from './bench-names.ts';

const thpPath = '/sys/kernel/mm/transparent_hugepage/enabled';

let host: TestHost;

before(async () => {
  const file = process.env.VIRGA_TEST_BENCH_IMAGE;
  assert.ok(file, 'script/test names the image to measure with');
  host = await openTestHost(42, { benchImage: { file } });
});
after(() => host.close());

const compare = (comparison: BenchComparisonName, pairs: number): Promise<MeasuredComparison> =>
  host.agent.compare({ comparison, pairs, seconds: 1, force: true });

const ownDomains = async () =>
  (await host.outside.domains.list()).filter(({ name }) => name.startsWith(benchPrefix({ path: host.storagePath })));

/** What there is of a run. */
async function remains(): Promise<string[]> {
  const domains = (await ownDomains()).map(({ name }) => name);
  const networks = (await host.outside.networks.list()).map(({ name }) => name);
  const files = await readdir(host.storagePath);
  return [
    ...domains,
    ...networks.filter((name) => name.startsWith(benchPrefix({ path: host.storagePath }))),
    ...files.filter((name) => name === 'bench'),
  ];
}

/** @returns the signal that ended it */
async function runKilled(args: string[]): Promise<NodeJS.Signals | null> {
  const program = join(import.meta.dirname, 'testing/killed-bench.ts');
  const child = spawn(process.execPath, ['--conditions=development', program, ...args], { stdio: 'inherit' });
  const [, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return signal;
}

test('a virtio disk and an emulated one are measured in one guest, in turn, and nothing stays', async () => {
  const { metrics, notPossible } = await compare('disk-bus', 2);
  assert.equal(notPossible, null);
  assert.deepEqual(
    metrics.map(({ name, settings }) => [name, settings.map((setting) => [setting.name, setting.samples.length])]),
    ['random reads', 'random writes'].map((name) => [
      name,
      [
        ['emulated (AHCI)', 2],
        ['virtio', 2],
      ],
    ]),
  );
  assert.ok(metrics.every(({ settings }) => settings.every(({ samples }) => samples.every((iops) => iops > 0))));
  assert.deepEqual(await remains(), []);
});

test('an agent that is killed in the middle leaves nothing once another one is there: guest, files and setting', async () => {
  await withKernelKnobs(async () => {
    const before = await readFile(thpPath, 'utf8');
    const other = before.includes('[never]') ? 'madvise' : 'never';
    const killed = await runKilled([host.storagePath, other]);
    assert.equal(killed, 'SIGKILL');
    assert.match(await readFile(thpPath, 'utf8'), new RegExp(`\\[${other}\\]`));
    assert.equal((await ownDomains()).length, 1);

    await host.openAgent();
    await until('the rest of the run to be gone', async () => (await remains()).length === 0, { timeoutMs: 30_000 });
    assert.equal(await readFile(thpPath, 'utf8'), before);
  });
});

test('what an agent that lives is at, another one on the same storage leaves alone', async () => {
  const folder = join(host.storagePath, 'bench');
  await mkdir(folder);
  const holder = new BenchHolder();
  await holder.hold(folder);
  const other = await host.openAgent();
  const refused = other.compare({ comparison: 'nested-paging', pairs: 1, seconds: 1, force: true });
  await assert.rejects(refused, (error) => error instanceof VirgaError && error.code === 'Conflict');
  await other.close();
  assert.equal(await holder.isHeldByOther(folder), false);
  assert.deepEqual(await remains(), ['bench']);
  await writeFile(join(folder, 'holder.json'), JSON.stringify({ pid: process.pid, startedAt: '1', token: '' }));
  await (await host.openAgent()).close();
  assert.deepEqual(await remains(), []);
});

test('beside a guest of somebody else it refuses before anything is made, unless it is forced', async () => {
  const name = `${benchPrefix({ path: host.storagePath })}`.replace('bench', 'other');
  const ref = await host.outside.domains.createXml(`<domain type='qemu'>
    <name>${name}</name>
    <memory unit='MiB'>16</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type></os>
  </domain>`);
  try {
    const refused = host.agent.compare({ comparison: 'pinning', pairs: 1, seconds: 1, force: false });
    await assert.rejects(refused, (error) => error instanceof VirgaError && error.code === 'Conflict');
    assert.deepEqual(await remains(), []);
  } finally {
    await host.outside.domains.destroy(ref);
  }
});

test('what this host cannot show is told with the reason', async () => {
  const { notPossible, metrics } = await compare('nested-paging', 1);
  assert.match(notPossible ?? '', /^not possible here, because guests are emulated/);
  assert.deepEqual(metrics, []);
  assert.deepEqual(await remains(), []);
});

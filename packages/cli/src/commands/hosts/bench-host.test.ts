// A benchmark by command, against a server that knows the contract: waited for, told, drawn, ended, and what won is set.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HostBenchmark } from '@virga/contract/rest/host-bench';
import { aHostBenchmark } from '@virga/testing/benchmark-examples';
import { captureCli } from '@virga/testing/captured-cli';
import { aHost, anOperation } from '@virga/testing/contract-examples';
import { serveContract } from '@virga/testing/contract-server';
import { aTunedHost } from '@virga/testing/tuning-examples';

const problem = { type: '', title: '', status: 409, code: 'Conflict', retryable: false } as const;

const serve = (benchmark: HostBenchmark = aHostBenchmark(), failure?: string) =>
  serveContract({
    listHosts: () => ({ items: [aHost()] }),
    benchmarkHost: () => aHostBenchmark({ state: 'running', comparisons: [], recommendations: [] }),
    getHostBenchmark: () => benchmark,
    listHostBenchmarks: () => ({ items: [benchmark] }),
    cancelHostBenchmark: () => benchmark,
    getHostTuning: () => ({ tuning: aTunedHost(), seen: null }),
    tuneHost: () => ({ tuning: aTunedHost(), operationId: 'op-00000000000000002' }),
    getOperation: ({ params }) =>
      failure === undefined || params.id !== benchmark.operationId
        ? anOperation({ id: params.id })
        : anOperation({
            id: params.id,
            state: 'failed',
            message: failure,
            error: { ...problem, detail: failure, action: 'Stop them.' },
          }),
  });

test('it asks for what was chosen, waits, tells the report and draws the picture', async () => {
  await using server = await serve();
  await using cli = await captureCli(server.url);
  const picture = join(cli.home, 'alpha.svg');
  const words = ['--only', 'thp,pinning', '--pairs', '9', '--seconds', '3', '--force', '--svg', picture];
  const run = await cli.run(['host', 'bench', ...words]);
  assert.equal(run.exit, 0, run.stderr);
  assert.deepEqual(server.seen.find(({ route }) => route === 'benchmarkHost')?.body, {
    comparisons: ['thp', 'pinning'],
    pairs: 9,
    seconds: 3,
    force: true,
  });
  assert.match(run.stdout, /^Benchmark of alpha, .*: succeeded$/m);
  assert.match(run.stdout, /no measurable difference/);
  assert.match(await readFile(picture, 'utf8'), /^<svg /);
  assert.ok(!server.seen.some(({ route }) => route === 'tuneHost'));
});

test('what won is set on top of what the host was told before, and what is of instances is only said', async () => {
  await using server = await serve();
  await using cli = await captureCli(server.url);
  const run = await cli.run(['hosts', 'bench-report', '--keep-best']);
  assert.equal(run.exit, 0, run.stderr);
  assert.match(run.stderr, /Keeping ksm-pages=1000\./);
  assert.deepEqual(server.seen.find(({ route }) => route === 'tuneHost')?.body, {
    profile: 'balanced',
    overrides: { swappiness: 20, ksmPages: 1000 },
  });
  assert.match(run.stdout, /ask for CPUs of their own/);
});

test('where nothing won nothing is changed, and that is said', async () => {
  await using server = await serve(aHostBenchmark({ recommendations: [] }));
  await using cli = await captureCli(server.url);
  const run = await cli.run(['hosts', 'bench-report', '--keep-best']);
  assert.equal(run.exit, 0, run.stderr);
  assert.match(run.stderr, /nothing is changed/);
  assert.ok(!server.seen.some(({ route }) => route === 'tuneHost'));
});

test('one that failed tells what had been measured, then why it failed', async () => {
  const failed = aHostBenchmark({ state: 'failed', stateReason: 'While 2 guests run.' });
  await using server = await serve(failed, 'While 2 guests run.');
  await using cli = await captureCli(server.url);
  const run = await cli.run(['hosts', 'bench', 'alpha']);
  assert.equal(run.exit, 4, run.stderr);
  assert.match(run.stdout, /CPU pinning under contention/);
  assert.match(run.stderr, /While 2 guests run\./);
});

test('the one that runs is ended by --cancel, and where none runs that is said', async () => {
  await using server = await serve(aHostBenchmark({ state: 'running' }));
  await using cli = await captureCli(server.url);
  const run = await cli.run(['hosts', 'bench', '--cancel']);
  assert.equal(run.exit, 0, run.stderr);
  assert.ok(server.seen.some(({ route }) => route === 'cancelHostBenchmark'));
  await using idle = await serve();
  const none = await cli.run(['hosts', 'bench', '--cancel'], { env: { VIRGA_SERVER: idle.url } });
  assert.equal(none.exit, 3);
  assert.match(none.stderr, /No benchmark runs on the host\./);
});

test('a comparison that is mistyped is refused with the nearest one, before anything is asked', async () => {
  await using server = await serve();
  await using cli = await captureCli(server.url);
  const run = await cli.run(['hosts', 'bench', '--only', 'pining']);
  assert.equal(run.exit, 2);
  assert.match(run.stderr, /Did you mean pinning\?/);
  assert.deepEqual(server.seen, []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { aHost, anOperation } from '@virga/testing/contract-examples';
import { serveContract } from '@virga/testing/contract-server';
import { aTunedHost, aTuningPlan } from '@virga/testing/tuning-examples';

const operationId = 'op-00000000000000001';

const serve = (hosts = [aHost()]) =>
  serveContract({
    listHosts: () => ({ items: hosts }),
    getHostTuning: () => ({ tuning: aTunedHost(), seen: aTuningPlan() }),
    planHostTuning: ({ body }) => (body.tuning === null ? aTuningPlan({ changes: [], notes: [] }) : aTuningPlan()),
    tuneHost: () => ({ tuning: aTunedHost({ state: 'pending' }), operationId }),
    untuneHost: () => ({ tuning: aTunedHost({ state: 'pending', desired: null }), operationId }),
    getOperation: () => anOperation({ id: operationId, kind: 'host.tune', message: '2 places were changed.' }),
  });

test('alone it shows each knob as it is, as it should be, who says so and why', async () => {
  await using server = await serve();
  await using cli = await captureCli(server.url);
  const run = await cli.run(['host', 'tune']);
  assert.equal(run.exit, 0, run.stderr);
  assert.match(run.stdout, /^alpha: balanced with swappiness=20 is in force$/m);
  assert.match(run.stdout, /^io-scheduler\.vda +bfq +none +profile +The hypervisor below orders requests again\.$/m);
  assert.match(run.stdout, /^ksm-pages +100 +- +-$/m);
  assert.match(run.stdout, /^cpu-governor is left out: the host does not have it\.$/m);
});

test('a dry run is a difference with reasons, and asks for no change', async () => {
  await using server = await serve();
  await using cli = await captureCli(server.url);
  const run = await cli.run(['hosts', 'tune', 'density', '--set', 'io-scheduler.vda=bfq', '--dry-run']);
  assert.match(
    run.stdout,
    /On alpha this would be changed:\n {2}\/sys\/block\/vda\/queue\/scheduler {2}The hypervisor below orders requests again\.\n {4}- bfq\n {4}\+ none\n/,
  );
  assert.deepEqual(server.seen.at(-1)?.body, {
    tuning: { profile: 'density', overrides: { ioScheduler: { vda: 'bfq' } } },
  });
  const undo = await cli.run(['hosts', 'tune', '--undo', '--dry-run']);
  assert.match(undo.stdout, /^Nothing would be changed on alpha\.$/m);
  assert.ok(!server.seen.some(({ route }) => route === 'tuneHost' || route === 'untuneHost'));
});

test('knobs are read by their names, and go on top of what was said before', async () => {
  await using server = await serve();
  await using cli = await captureCli(server.url);
  const sets = ['huge-pages-2m.1=64', 'huge-pages-2m.0=32', 'sysctl.vm.dirty_ratio=7', 'thp=keep', 'ksm-pages=500'];
  const run = await cli.run(['hosts', 'tune', ...sets.flatMap((set) => ['--set', set]), '--wait']);
  assert.equal(run.exit, 0, run.stderr);
  assert.match(run.stdout, /^tuning alpha: balanced with swappiness=20 is in force$/m);
  assert.match(run.stderr, /2 places were changed\./);
  assert.deepEqual(server.seen.find(({ route }) => route === 'tuneHost')?.body, {
    profile: 'balanced',
    overrides: {
      swappiness: 20,
      hugePages2Mib: { 0: 32, 1: 64 },
      sysctl: { 'vm.dirty_ratio': 7 },
      thp: 'keep',
      ksmPages: 500,
    },
  });
});

test('what cannot be meant is refused before anything is asked', async () => {
  await using server = await serve([aHost(), aHost({ id: 'host-00000000000000002', name: 'beta' })]);
  await using cli = await captureCli(server.url);
  const refused = async (argv: string[], says: RegExp) => {
    const run = await cli.run(['hosts', 'tune', ...argv]);
    assert.deepEqual([run.exit, says.test(run.stderr)], [2, true], run.stderr);
  };
  await refused(['--set', 'swapiness=3'], /Did you mean swappiness\?/);
  await refused(['--set', 'io-scheduler=bfq'], /io-scheduler\.nvme/);
  await refused(['--set', 'swappiness.vda=3'], /0 to 200/);
  await refused(['--set', 'swappiness'], /ksm-pages=500/);
  await refused(['latency', '--undo'], /one of the two/);
  await refused(['fast'], /balanced/);
  await refused(['latency'], /has 2 hosts, and none was named/);
  assert.ok(!server.seen.some(({ route }) => route === 'tuneHost'));
});

test('a host that refuses is told with its field', async () => {
  await using server = await serveContract({
    listHosts: () => ({ items: [aHost()] }),
    planHostTuning: () => {
      const detail = 'The host has no kyber.';
      throw new VirgaError('HostSettingRefused', {
        detail,
        action: 'Choose another.',
        field: '/overrides/ioScheduler/sda',
      });
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['hosts', 'tune', 'balanced', '--set', 'io-scheduler.sda=kyber', '--dry-run']);
  assert.equal(run.exit, 2);
  assert.match(run.stderr, /The host has no kyber\./);
});

// What is asked of the cloud when vCPUs are to run elsewhere, and how the CPUs of a host are drawn.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureCli } from '@virga/testing/captured-cli';
import { aHost, aHostCpuReport, anInstance, anInstanceType } from '@virga/testing/contract-examples';
import { type ContractServer, type Handlers, serveContract } from '@virga/testing/contract-server';

const web = anInstance({ vcpus: 3 });
const change = { instance: web, operationId: 'op-00000000000000001' } as const;
const cloud: Handlers = {
  listInstances: () => ({ items: [web] }),
  getInstance: () => web,
  listHosts: () => ({ items: [aHost()] }),
  changeCpu: () => change,
  pinInstance: () => change,
  launchInstance: () => change,
  listKeyPairs: () => ({ items: [] }),
  createInstanceType: () => anInstanceType(),
  reserveHostCpus: () => ({ reserved: [] }),
};

const bodies = ({ seen }: ContractServer, route: string) =>
  seen.filter((request) => request.route === route).map(({ body }) => body);

test('only what was given is changed, and none is as every guest has it', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  await cli.run(['pin', 'web', '--policy', 'numa']);
  await cli.run(['pin', 'web', '--shares', 'none', '--cap', '50']);
  assert.deepEqual(bodies(server, 'changeCpu'), [{ policy: 'numa' }, { shares: null, capPercent: 50 }]);
});

test('named CPUs keep their order: the first is that of vCPU 0', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  await cli.run(['pin', 'web', '--cpus', '7,2-3']);
  assert.deepEqual(bodies(server, 'pinInstance'), [{ cpus: [7, 2, 3] }]);
});

test('what cannot be is refused before anything is asked', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  for (const [words, because] of [
    [['--cpus', '3-1'], /--cpus cannot be "3-1"/],
    [['--cpus', '1', '--policy', 'shared'], /together with something else/],
    [['--cap', '101'], /--cap cannot be "101"/],
    [['--shares', '0'], /--shares cannot be "0"/],
  ] as const) {
    const run = await cli.run(['pin', 'web', ...words]);
    assert.equal(run.exit, 2);
    assert.match(run.stderr, because);
  }
  assert.deepEqual([...bodies(server, 'pinInstance'), ...bodies(server, 'changeCpu')], []);
});

test('a launch and a type say how vCPUs are to run', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const how = ['--cpu-policy', 'dedicated', '--cpu-shares', '200', '--cpu-cap', '80'];
  await cli.run(['launch', 'web', '--image', 'starter', '--type', 'tiny', ...how]);
  await cli.run(['types', 'create', 'own', '--vcpus', '1', '--memory', '256', '--disk', '1', ...how]);
  const asked = [...bodies(server, 'launchInstance'), ...bodies(server, 'createInstanceType')] as {
    [name: string]: unknown;
  }[];
  assert.deepEqual(
    asked.map(({ cpuPolicy, cpuShares, cpuCapPercent }) => [cpuPolicy, cpuShares, cpuCapPercent]),
    [
      ['dedicated', 200, 80],
      ['dedicated', 200, 80],
    ],
  );
});

test('what a host keeps is a list, or none', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  await cli.run(['hosts', 'reserve-cpus', 'alpha', '0,8-9']);
  const { stdout } = await cli.run(['hosts', 'reserve-cpus', 'alpha', 'none']);
  assert.deepEqual(bodies(server, 'reserveHostCpus'), [{ cpus: [0, 8, 9] }, { cpus: [] }]);
  assert.match(stdout, /host alpha: keeps no CPU for itself/);
});

test('a host with several nodes, idle siblings and a change that it has yet to be told of is drawn as it is', async () => {
  const report = aHostCpuReport({ converged: false });
  const [first, second] = report.cpus;
  const idle = { ...second!, id: 2, node: 1, vcpu: null };
  const kept = { ...first!, id: 3, node: 1, pool: 'reserved' as const };
  await using server = await serveContract({
    ...cloud,
    getHostCpus: () => ({ ...report, cpus: [first!, second!, idle, kept] }),
  });
  await using cli = await captureCli(server.url);
  const { stdout } = await cli.run(['hosts', 'cpus']);
  assert.match(stdout, /The host has yet to be told/);
  assert.match(stdout, /CPU +NODE/);
  assert.match(stdout, /^2 +1 .*web \(idle\)/m);
  assert.match(stdout, /^3 +1 .*the host/m);
});

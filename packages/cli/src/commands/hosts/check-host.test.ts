import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostCheckResult } from '@virga/contract/agent/host-checks';
import { VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { aHost, aHostCheckReport } from '@virga/testing/contract-examples';
import { serveContract } from '@virga/testing/contract-server';

const change = { kind: 'access', path: '/dev/kvm', now: '0600 0:0', after: '0660 0:104', why: 'For QEMU.' } as const;
const broken: Partial<HostCheckResult> = {
  name: 'kvm-permissions',
  verdict: 'failure',
  seen: '/dev/kvm belongs to group 0.',
  why: 'Starts take longer.',
  repair: [change],
};
const mended: Partial<HostCheckResult> = { name: 'kvm-permissions', seen: 'The group kvm may use it.', repaired: true };
const gamma = aHost({ id: 'host-00000000000000003', name: 'gamma' });
const beta = aHost({ id: 'host-00000000000000002', name: 'beta' });

/** A host whose /dev/kvm is wrong until it is repaired, beside others that are well. */
async function serve(hosts = [aHost()]) {
  let isMended = false;
  const report = (id: string) => aHostCheckReport(...(id === beta.id ? [] : [isMended ? mended : broken]));
  return serveContract({
    listHosts: ({ query }) => ({ items: hosts.filter(({ name }) => query.name === undefined || query.name === name) }),
    checkHost: ({ params, query }) => {
      if (params.id === gamma.id)
        throw new VirgaError('HostUnavailable', { detail: 'It is away.', action: 'Start it.' });
      return {
        checks: report(params.id).checks.filter(({ name }) => query.names?.split(',').includes(name) ?? true),
      };
    },
    repairHost: ({ params }) => {
      isMended = true;
      return { changes: [change], report: report(params.id) };
    },
    undoHostRepairs: ({ params }) => {
      isMended = false;
      return { changes: [{ ...change, now: change.after, after: change.now }], report: report(params.id) };
    },
  });
}

test('a failure that stands is told with why and what repairs it, and is the exit code', async () => {
  await using server = await serve();
  await using cli = await captureCli(server.url);
  const run = await cli.run(['host', 'check']);
  assert.equal(run.exit, 8, run.stderr);
  assert.match(run.stdout, /^failure +kvm-permissions +\/dev\/kvm belongs to group 0\.$/m);
  assert.match(
    run.stdout,
    /^kvm-permissions {2}Starts take longer\.\n {2}repair: virga hosts check --fix --only kvm-permissions$/m,
  );
  assert.match(run.stdout, /^3 checks: 1 ok, 1 advice, 1 failure\.$/m);
  assert.equal((await cli.run(['host', 'check', '--only', 'free-disk'])).exit, 0);
});

test('--fix shows what would be changed and changes nothing without a yes', async () => {
  await using server = await serve();
  await using cli = await captureCli(server.url);
  const run = await cli.run(['hosts', 'check', '--fix', '--only', 'kvm-permissions']);
  assert.equal(run.exit, 2);
  assert.match(
    run.stderr,
    /On alpha this would be changed:\n\nkvm-permissions:\n {2}\/dev\/kvm {2}For QEMU\.\n {4}- 0600 0:0\n {4}\+ 0660 0:104\n/,
  );
  assert.match(run.stderr, /Change alpha like that\?.*\n.*--yes/);
  assert.deepEqual(
    server.seen.filter(({ route }) => route === 'repairHost'),
    [],
  );
});

test('--fix makes the repairs, shows the host as it is then, and --undo takes them back', async () => {
  await using server = await serve();
  await using cli = await captureCli(server.url);
  const argv = ['hosts', 'check', 'alpha', '--only', 'kvm-permissions', '--yes'];
  const fixed = await cli.run([...argv, '--fix']);
  assert.equal(fixed.exit, 0, fixed.stderr);
  assert.match(fixed.stdout, /^Changed on alpha:\n {2}\/dev\/kvm/);
  assert.match(fixed.stdout, /^ok \(repaired\) +kvm-permissions/m);
  assert.deepEqual(server.seen.find(({ route }) => route === 'repairHost')?.body, { names: ['kvm-permissions'] });
  assert.match((await cli.run([...argv, '--fix'])).stderr, /nothing that Virga can repair/);
  const undone = await cli.run([...argv, '--undo', '--output', 'json']);
  assert.equal(undone.exit, 8, 'it is broken as before');
  const [{ host, changes, checks }] = JSON.parse(undone.stdout);
  assert.deepEqual([host, changes[0].after, checks.length], ['alpha', '0600 0:0', 1]);
  assert.match((await cli.run([...argv, '--undo'])).stderr, /no repair to take back/);
});

test('several hosts are a table of their own, and none is chosen for one', async () => {
  await using server = await serve([aHost(), beta]);
  await using cli = await captureCli(server.url);
  const unnamed = await cli.run(['hosts', 'check']);
  assert.equal(unnamed.exit, 2);
  assert.match(unnamed.stderr, /has 2 hosts, and none was named\.\n.*alpha, beta, or give --all/);
  const all = await cli.run(['hosts', 'check', '--all']);
  assert.equal(all.exit, 8);
  assert.match(all.stdout, /^alpha +1 +1 +0 +1\nbeta +1 +1 +0 +0$/m);
  assert.match(all.stdout, /repair: virga hosts check alpha --fix --only kvm-permissions/);
  assert.equal((await cli.run(['hosts', 'check', 'beta'])).exit, 0);
  assert.equal((await cli.run(['hosts', 'check', 'beta', '--all'])).exit, 2);
  assert.equal((await cli.run(['hosts', 'check', 'beta', '--fix', '--undo'])).exit, 2);
});

test('a host that is away is told as a failure among several, and fails by itself', async () => {
  await using server = await serve([beta, gamma]);
  await using cli = await captureCli(server.url);
  const all = await cli.run(['hosts', 'check', '--all']);
  assert.equal(all.exit, 8);
  assert.match(all.stdout, /^beta +1 +1 +0 +0\ngamma +0 +0 +0 +1$/m);
  assert.match(all.stdout, /^failure +reachable +It is away\.$|^gamma +failure +reachable +It is away\.$/m);
  assert.equal((await cli.run(['hosts', 'check', 'gamma'])).exit, 6);
});

test('a repair that somebody has reset since is told apart from one that holds', async () => {
  await using server = await serveContract({
    listHosts: () => ({ items: [aHost()] }),
    checkHost: () => aHostCheckReport(mended, { ...broken, name: 'tap', repaired: true }),
  });
  await using cli = await captureCli(server.url);
  const { stdout } = await cli.run(['hosts', 'check']);
  assert.match(stdout, /^ok \(repaired\) +kvm-permissions/m);
  assert.match(stdout, /^failure \(reset since\) +tap/m);
});

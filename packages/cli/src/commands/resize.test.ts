// What is asked of the cloud when an instance is to have another size, and what is said of what the guest did not do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import { captureCli } from '@virga/testing/captured-cli';
import { anInstance, anOperation } from '@virga/testing/contract-examples';
import { type ContractServer, type Handlers, serveContract } from '@virga/testing/contract-server';

const web = anInstance();
const change = { instance: web, operationId: 'op-00000000000000001' } as const;
const cloud: Handlers = {
  listInstances: () => ({ items: [web] }),
  getInstance: () => web,
  resizeInstance: () => change,
  launchInstance: () => change,
  listKeyPairs: () => ({ items: [] }),
};

const bodies = ({ seen }: ContractServer, route: string) =>
  seen.filter((request) => request.route === route).map(({ body }) => body);

test('sizes are asked for in the units of the API, and only those that were given', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  await cli.run(['resize', 'web', '--type', 'medium', '--restart']);
  await cli.run(['resize', 'web', '--vcpus', '2', '--memory', '1GiB', '--disk', '20GiB']);
  await cli.run(['resize', 'web', '--max-vcpus', '8', '--max-memory', '16GiB']);
  assert.deepEqual(bodies(server, 'resizeInstance'), [
    { type: 'medium', restart: true },
    { vcpus: 2, memoryMib: 1024, diskGib: 20 },
    { maxVcpus: 8, maxMemoryMib: 16_384 },
  ]);
});

test('a launch can ask for room to grow', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  await cli.run(['launch', 'web', '--image', 'starter', '--type', 'tiny', '--max-vcpus', '4', '--max-memory', '2GiB']);
  const [body] = bodies(server, 'launchInstance') as { maxVcpus: number; maxMemoryMib: number }[];
  assert.deepEqual([body?.maxVcpus, body?.maxMemoryMib], [4, 2048]);
});

test('a size that is none is refused before anything is asked', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const run = await cli.run(['resize', 'web', '--memory', 'more']);
  assert.equal(run.exit, 2);
  assert.match(run.stderr, /--memory cannot be "more"\.\n {2}try: Give a whole number of MiB/);
  assert.deepEqual(bodies(server, 'resizeInstance'), []);
});

test('what cannot be done while it runs names --restart, with the exit code of a conflict', async () => {
  const refusal = new VirgaError('Conflict', { detail: 'It has no room.', action: 'Add --restart.', field: '/vcpus' });
  await using server = await serveContract({
    ...cloud,
    resizeInstance: () => {
      throw refusal;
    },
  });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['resize', 'web', '--vcpus', '8']);
  assert.equal(run.exit, 4);
  assert.match(run.stderr, /error: It has no room\.\n {2}try: Add --restart\./);
});

test('what the guest did not do is said after the wait, which has succeeded', async () => {
  const message = 'The guest was not asked to grow its file system: no agent answers.';
  await using server = await serveContract({ ...cloud, getOperation: () => anOperation({ message }) });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['resize', 'web', '--disk', '20', '--wait']);
  assert.equal(run.exit, 0);
  assert.ok(run.stderr.includes(`web: ${message}`), run.stderr);
});

test('what a guest has is shown beside its size while the two differ, and how far it can grow', async () => {
  const differing = anInstance({ vcpus: 1, maxVcpus: 4, memoryMib: 512, maxMemoryMib: 2048, observedMemoryMib: 1024 });
  await using server = await serveContract({ ...cloud, listInstances: () => ({ items: [differing] }) });
  await using cli = await captureCli(server.url);
  const { stdout } = await cli.run(['show', 'web']);
  assert.match(stdout, /Can grow to +4 vCPU, 2 GiB while it runs\n/);
  assert.match(stdout, /Has now +1 vCPU, 1 GiB\n/);
});

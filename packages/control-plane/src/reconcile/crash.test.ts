// The server is killed at every step of every change of an instance, and started anew: what was acknowledged happens,
// once, and nothing leaks.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { deleteImage, registerImage } from '../modules/images/image-operations.ts';
import {
  deleteInstance,
  destroyInstance,
  launchInstance,
  rebootInstance,
  startInstance,
  stopInstance,
} from '../modules/instances/instance-operations.ts';
import {
  hibernateInstance,
  resetInstance,
  resumeInstance,
  suspendInstance,
} from '../modules/instances/power-operations.ts';
import { updateInstance } from '../modules/instances/update-instance.ts';
import { createNetwork, deleteNetwork } from '../modules/networks/network-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start();
  await cloud.prepare();
});
after(() => cloud.close());

const launch = (name: string) => launchInstance(cloud.deps, cloud.operator, launchOf(name));
const remove = (id: InstanceId) => deleteInstance(cloud.deps, cloud.operator, id);

async function assertRunsOnce(id: InstanceId): Promise<void> {
  assert.equal((await cloud.instance(id)).state, 'running');
  const domains = await cloud.host().listInstances(cloud.deps.cloudId);
  assert.deepEqual(
    domains.map((domain) => [domain.id, domain.state]),
    [[id, 'running']],
  );
  assert.equal(cloud.host().bootCount(id), 1);
}

for (const point of ['folder', 'root-disk', 'seed', 'lease', 'define', 'start', 'after applyInstance']) {
  test(`killed at ${point} of a launch`, async () => {
    const { instance } = await cloud.killedAt(point, () => launch('launched'));
    await assertRunsOnce(instance.id);
    await cloud.succeeded((await remove(instance.id)).operationId);
    await cloud.assertNothingLeft();
  });
}

for (const point of ['destroy', 'undefine', 'delete-leases', 'delete-files', 'after deleteInstance']) {
  test(`killed at ${point} of a delete`, async () => {
    const { id } = await cloud.launch('deleted');
    await cloud.killedAt(point, () => remove(id));
    await cloud.assertNothingLeft();
  });
}

for (const point of ['root-disk', 'start', 'after applyInstance']) {
  test(`killed at ${point} of a launch that is to be deleted meanwhile`, async () => {
    const reached = cloud.freezeAt(point);
    const { instance } = await launch('unwanted');
    await reached;
    const { operationId } = await remove(instance.id);
    await cloud.kill();
    await cloud.startAgain();
    await cloud.succeeded(operationId);
    await cloud.assertNothingLeft();
  });
}

test('killed while a launch that failed is undone', async () => {
  cloud.host().failNext('start', 'HypervisorRefused');
  const reached = cloud.freezeAt('after deleteInstance');
  const { operationId } = await launch('undone');
  await reached;
  await cloud.kill();
  await cloud.startAgain();
  assert.equal((await cloud.failed(operationId)).code, 'HypervisorRefused');
  await cloud.assertNothingLeft();
});

test('killed at every step of stop, start, reboot and destroy', async () => {
  const { id } = await cloud.launch('changed');
  const { deps, operator } = { deps: () => cloud.deps, operator: cloud.operator };
  const changes = [
    ['shutdown', () => stopInstance(deps(), operator, id)],
    ['metadata', () => startInstance(deps(), operator, id)],
    ['after applyInstance', () => stopInstance(deps(), operator, id)],
    ['start', () => startInstance(deps(), operator, id)],
    ['reset', () => rebootInstance(deps(), operator, id, { hard: true })],
    ['reboot', () => rebootInstance(deps(), operator, id)],
    ['force-off', () => destroyInstance(deps(), operator, id)],
    ['after applyInstance', () => startInstance(deps(), operator, id)],
  ] as const;
  for (const [point, ask] of changes) {
    const { instance } = await cloud.killedAt(point, ask);
    const { state, desiredState } = await cloud.instance(id);
    assert.equal(state, desiredState, point);
    assert.equal(desiredState, instance.desiredState);
  }
  await cloud.succeeded((await remove(id)).operationId);
  await cloud.assertNothingLeft();
});

test('killed at every step of pausing, hibernating, waking, rebooting and renaming', async () => {
  const { id } = await cloud.launch('kept');
  const { deps, operator } = { deps: () => cloud.deps, operator: cloud.operator };
  const boots = () => cloud.host().bootCount(id);
  const wake = () => startInstance(deps(), operator, id);
  const hibernate = () => hibernateInstance(deps(), operator, id);
  const stop = () => stopInstance(deps(), operator, id);
  const reboot = (mode: 'agent' | 'cycle', timeoutSeconds?: number) =>
    rebootInstance(deps(), operator, id, { mode, timeoutSeconds });
  const suspend = () => suspendInstance(deps(), operator, id);
  const resume = () => resumeInstance(deps(), operator, id);
  const rename = (name: string) => updateInstance(deps(), operator, id, { name });
  // Where it is killed, in what, the state afterwards, and how often the guest has booted then.
  const changes: [string, () => ReturnType<typeof wake>, string, number][] = [
    ['suspend', suspend, 'paused', 1],
    ['resume', resume, 'running', 1],
    ['after applyInstance', suspend, 'paused', 1],
    ['hibernate', hibernate, 'hibernated', 1],
    ['start', wake, 'running', 1],
    ['after applyInstance', hibernate, 'hibernated', 1],
    ['after applyInstance', wake, 'running', 1],
    ['reset', () => resetInstance(deps(), operator, id), 'running', 2],
    ['reboot', () => reboot('agent'), 'running', 3],
    ['shutdown', () => reboot('cycle'), 'running', 4],
    ['start', () => reboot('cycle'), 'running', 5],
    ['force-off', () => reboot('cycle', 0), 'running', 6],
    ['after applyInstance', () => reboot('cycle'), 'running', 7],
    ['metadata', () => rename('renamed'), 'running', 7],
    ['rename', stop, 'stopped', 7],
    ['after applyInstance', () => rename('renamed-again'), 'stopped', 7],
    ['start', wake, 'running', 8],
    ['metadata', hibernate, 'hibernated', 8],
    ['discard-memory', () => destroyInstance(deps(), operator, id), 'stopped', 8],
    ['after applyInstance', wake, 'running', 9],
  ];
  for (const [point, ask, state, booted] of changes) {
    await cloud.killedAt(point, ask);
    assert.equal((await cloud.instance(id)).state, state, point);
    assert.equal(boots(), booted, `boots after ${point}`);
  }
  const [seen] = await cloud.host().listInstances(cloud.deps.cloudId);
  assert.equal(seen?.domainName, (await cloud.instance(id)).domainName);
  await cloud.succeeded((await remove(id)).operationId);
  await cloud.assertNothingLeft();
});

test('killed at every step of creating and deleting a network', async () => {
  for (const point of ['define-network', 'start-network', 'after applyNetwork']) {
    const { network } = await cloud.killedAt(point, () =>
      createNetwork(cloud.deps, cloud.administrator, { name: 'second', cidr: '10.88.0.0/24' }),
    );
    const there = await cloud.host().listNetworks(cloud.deps.cloudId);
    assert.equal(there.find(({ id }) => id === network.id)?.active, true, point);
    await cloud.succeeded((await deleteNetwork(cloud.deps, cloud.operator, network.id)).operationId);
  }
  for (const point of ['stop-network', 'undefine-network', 'after deleteNetwork']) {
    const created = await createNetwork(cloud.deps, cloud.administrator, { name: 'second', cidr: '10.88.0.0/24' });
    await cloud.succeeded(created.operationId);
    await cloud.killedAt(point, () => deleteNetwork(cloud.deps, cloud.operator, created.network.id));
    assert.equal((await cloud.host().listNetworks(cloud.deps.cloudId)).length, 1, point);
  }
});

test('killed while an image is imported and deleted', async () => {
  const { source } = await cloud.deps.db.selectFrom('images').selectAll().executeTakeFirstOrThrow();
  assert.ok(source.kind === 'file');
  const request = { name: 'second', path: source.path, format: 'raw' as const };
  const { image } = await cloud.killedAt('after importImage', () =>
    registerImage(cloud.deps, cloud.administrator, request),
  );
  assert.equal((await cloud.host().listImages(cloud.deps.cloudId)).length, 2);
  await cloud.killedAt('after deleteImage', () => deleteImage(cloud.deps, cloud.operator, image.id));
  assert.equal((await cloud.host().listImages(cloud.deps.cloudId)).length, 1);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { createPool, deletePool, getPool } from '../pools/pool-operations.ts';
import { cloneInstance } from '../snapshots/clone-operations.ts';
import { createSnapshot, deleteSnapshot } from '../snapshots/snapshot-operations.ts';
import { deleteInstance, getInstance, launchInstance, startInstance, stopInstance } from './instance-operations.ts';
import { cancelRootDiskMove, moveRootDisk } from './move-root-disk.ts';
import { hibernateInstance } from './power-operations.ts';
import { releaseInstance } from './release-instance.ts';
import { resizeInstance } from './resize-instance.ts';

const nothing = { callMs: 0, folderMs: 0, seedMs: 0, leasesMs: 0, defineMs: 0, startMs: 0, networkMs: 0, imageMs: 0 };

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({
    hosts: [{ timings: { ...nothing, rootDiskMs: 1 } }],
    settings: { resyncPeriodMs: 300, reconcilePeriodMs: 300, factsPeriodMs: 100 },
  });
  await cloud.prepare();
  for (const name of ['fast', 'slow']) await aPool({ name, driver: 'directory', path: `/srv/${name}` });
  const ceph = { monitors: ['10.0.0.1'], pool: 'roots', user: 'virga', key: Buffer.alloc(28).toString('base64') };
  await aPool({ name: 'ceph', driver: 'rbd', ceph });
});
after(() => cloud.close());

async function aPool(asked: Parameters<typeof createPool>[2]) {
  const { pool, operationId } = await createPool(cloud.deps, cloud.administrator, { ...asked, hosts: ['host-1'] });
  await cloud.succeeded(operationId);
  return pool;
}

const get = (id: InstanceId) => getInstance(cloud.deps.db, cloud.operator, id);
const move = (id: InstanceId, pool: string) => moveRootDisk(cloud.deps, cloud.operator, id, { pool });
const movesOf = () => cloud.host().listMoves(cloud.deps.cloudId);
const allocatedIn = async (name: string) => {
  const { id } = await cloud.deps.db
    .selectFrom('pools')
    .select('id')
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  return (await getPool(cloud.deps.db, cloud.operator, id)).allocatedBytes;
};
const moved = async (id: InstanceId, pool: string) => cloud.succeeded((await move(id, pool)).operationId);
const settled = (id: InstanceId) =>
  until('its host knows it as it is', async () => {
    const { generation, converged_generation: converged } = await cloud.deps.db
      .selectFrom('instances')
      .select(['generation', 'converged_generation'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    return generation === converged;
  });

test('a root disk goes to another pool of its host and home again, counts where it lies, and needs its image no longer', async () => {
  const before = await cloud.launch('web');
  const { diskBytes } = before;
  const home = await allocatedIn('local');
  const { instance, operationId } = await move(before.id, 'fast');
  assert.deepEqual([instance.rootDiskMove?.poolName, instance.rootDiskMove?.operationId], ['fast', operationId]);
  await cloud.succeeded(operationId);
  const there = await get(before.id);
  assert.deepEqual([there.rootPoolName, there.rootDiskMove, there.state], ['fast', null, 'running']);
  assert.deepEqual([await allocatedIn('local'), await allocatedIn('fast')], [home - diskBytes, diskBytes]);
  await assert.rejects(deletePool(cloud.deps, cloud.administrator, there.rootPoolId!), {
    code: 'InUse',
    message: /The disk of instance web/,
  });
  await settled(before.id);
  // From that a lost database is rebuilt.
  const xml = (await cloud.host().domainXml(before.id)).replaceAll('&quot;', '"');
  assert.ok(
    xml.includes(`"pool":"${there.rootPoolId}","clone":"full"`) ||
      xml.includes(`"clone":"full","pool":"${there.rootPoolId}"`),
  );
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, before.id)).operationId);
  for (const pool of ['ceph', 'slow', 'local']) await moved(before.id, pool);
  assert.deepEqual([(await get(before.id)).rootPoolName, await movesOf()], [null, []]);
  assert.deepEqual([await allocatedIn('local'), await allocatedIn('slow')], [home, 0]);
  await cloud.succeeded((await startInstance(cloud.deps, cloud.operator, before.id)).operationId);
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, before.id)).operationId);
  assert.deepEqual(await cloud.host().listInstances(cloud.deps.cloudId), []);
});

test('the pool that it was launched in keeps what else there is of it, and says so when it is to go', async () => {
  const { id: poolId } = await aPool({ name: 'first', driver: 'directory', path: '/srv/first' });
  const asked = { ...launchOf('from-first'), pool: 'first' };
  const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, asked);
  await cloud.succeeded(operationId);
  const { id } = instance;
  await moved(id, 'fast');
  await moved(id, 'slow');
  await assert.rejects(deletePool(cloud.deps, cloud.administrator, poolId), { code: 'InUse', message: /console log/ });
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  await deletePool(cloud.deps, cloud.administrator, poolId);
});

test('a linked clone whose root disk was moved needs what it was cloned from no longer', async () => {
  const { id } = await cloud.launch('original');
  const clone = await cloneInstance(cloud.deps, cloud.operator, id, { name: 'copy' });
  await cloud.succeeded(clone.operationId);
  await assert.rejects(deleteInstance(cloud.deps, cloud.operator, id), { code: 'InUse' });
  await moved(clone.instanceId, 'fast');
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
});

test('while a root disk moves nothing else is made of it, and cancelled it stays where it was', async () => {
  const { id } = await cloud.launch('steady');
  await settled(id);
  const before = await get(id);
  cloud.host().slowDown(1_000_000);
  const { operationId } = await move(id, 'slow');
  const refused = { code: 'Conflict', message: /being moved to the pool slow/ };
  await assert.rejects(move(id, 'fast'), refused);
  await assert.rejects(resizeInstance(cloud.deps, cloud.operator, id, { diskGib: 90 }), refused);
  await assert.rejects(hibernateInstance(cloud.deps, cloud.operator, id), refused);
  await assert.rejects(createSnapshot(cloud.deps, cloud.operator, { instance: 'steady' }), refused);
  await assert.rejects(releaseInstance(cloud.deps, cloud.operator, id), refused);
  const { poolId } = (await get(id)).rootDiskMove!;
  await assert.rejects(deletePool(cloud.deps, cloud.administrator, poolId), { code: 'InUse', message: /steady/ });
  assert.equal(await allocatedIn('slow'), before.diskBytes, 'what is on its way counts');
  const cancel = () => cancelRootDiskMove(cloud.deps, cloud.operator, id);
  await cancel();
  // It finds it cancelled, or already taken back.
  await cancel().catch((error) => assert.match(error.message, /not being moved/));
  cloud.host().slowDown(1);
  assert.match((await cloud.failed(operationId)).detail, /was cancelled/);
  const after = await get(id);
  assert.deepEqual([after.rootPoolName, after.rootDiskMove, after.state], [null, null, 'running']);
  assert.deepEqual([await movesOf(), await allocatedIn('slow')], [[], 0]);
  await assert.rejects(cancel(), { code: 'Conflict', message: /not being moved/ });
});

test('a move that its host refuses is taken back, one that is interrupted goes on, and one whose instance is deleted ends', async () => {
  const { id } = await cloud.launch('tried');
  cloud.host().failNext('move-copy', 'StorageFull');
  assert.equal((await cloud.failed((await move(id, 'fast')).operationId)).code, 'StorageFull');
  assert.deepEqual([(await get(id)).rootPoolName, await movesOf()], [null, []]);
  for (const [index, step] of ['move-switch', 'move-remove'].entries()) {
    cloud.host().failNext(step, 'HostUnavailable');
    const pool = index % 2 === 0 ? 'fast' : 'slow';
    await moved(id, pool);
    assert.deepEqual([(await get(id)).rootPoolName, await movesOf()], [pool, []]);
  }
  cloud.host().slowDown(1_000_000);
  const { operationId } = await move(id, 'fast');
  const deletion = await deleteInstance(cloud.deps, cloud.operator, id);
  cloud.host().slowDown(1);
  await cloud.succeeded(deletion.operationId);
  await cloud.failed(operationId);
  assert.deepEqual(await movesOf(), []);
});

test('what cannot be moved is refused before anything changes', async () => {
  const { id } = await cloud.launch('fixed');
  await assert.rejects(move(id, 'nowhere'), { code: 'NotFound', field: '/pool' });
  await assert.rejects(move(id, 'local'), { code: 'InvalidArgument', field: '/pool' });
  const taken = await createSnapshot(cloud.deps, cloud.operator, { instance: 'fixed' });
  await cloud.succeeded(taken.operationId);
  await assert.rejects(move(id, 'fast'), { code: 'Conflict', message: /rests on the root disk/ });
  await cloud.succeeded((await deleteSnapshot(cloud.deps, cloud.operator, taken.snapshot.id)).operationId);
  await cloud.succeeded((await hibernateInstance(cloud.deps, cloud.operator, id)).operationId);
  await assert.rejects(move(id, 'fast'), { code: 'Conflict', message: /hibernated/ });
  assert.deepEqual(await movesOf(), []);
});

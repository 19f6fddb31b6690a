// Many instances at once, on hosts whose work takes time, and a server that is killed again and again meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediately, setTimeout as sleep } from 'node:timers/promises';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { deleteInstance, launchInstance } from '../modules/instances/instance-operations.ts';

test('200 instances are launched at once and deleted at once, and nothing is left', async () => {
  const cloud = await SimulatedCloud.start();
  try {
    await cloud.prepare();
    const names = Array.from({ length: 200 }, (_, index) => `web-${index}`);
    const launched = await Promise.all(names.map((name) => launchInstance(cloud.deps, cloud.operator, launchOf(name))));
    for (const { operationId } of launched) await cloud.succeeded(operationId);
    assert.equal((await cloud.host().listInstances(cloud.deps.cloudId)).length, 200);
    const macs = launched.map(({ instance }) => instance.networkInterfaces[0]!.mac);
    assert.equal(new Set(macs).size, 200);
    const deleted = await Promise.all(
      launched.map(({ instance }) => deleteInstance(cloud.deps, cloud.operator, instance.id)),
    );
    for (const { operationId } of deleted) await cloud.succeeded(operationId);
    await cloud.assertNothingLeft();
  } finally {
    await cloud.close();
  }
});

test('a host starts no more guests at once than it has threads', async () => {
  const timings = { rootDiskMs: 0, seedMs: 0, defineMs: 0, startMs: 30 };
  const cloud = await SimulatedCloud.start({ hosts: [{ cpuThreads: 3, timings }] });
  try {
    await cloud.prepare();
    const host = cloud.host();
    const apply = host.applyInstance.bind(host);
    let running = 0;
    let most = 0;
    const full = Promise.withResolvers<void>();
    host.applyInstance = async (...call) => {
      most = Math.max(most, ++running);
      if (running === 3) full.resolve();
      await full.promise;
      return apply(...call).finally(() => {
        running -= 1;
      });
    };
    const names = Array.from({ length: 9 }, (_, index) => `web-${index}`);
    const launched = await Promise.all(names.map((name) => launchInstance(cloud.deps, cloud.operator, launchOf(name))));
    for (const { operationId } of launched) await cloud.succeeded(operationId);
    assert.equal(most, 3);
  } finally {
    await cloud.close();
  }
});

test('of more requests than there are connections none is left waiting when the server is killed', async () => {
  const cloud = await SimulatedCloud.start();
  try {
    await cloud.prepare();
    const names = Array.from({ length: 60 }, (_, index) => `web-${index}`);
    const asked = Promise.allSettled(names.map((name) => launchInstance(cloud.deps, cloud.operator, launchOf(name))));
    // Until they stand in line.
    await immediately();
    await cloud.kill();
    const refused = (await asked).filter(({ status }) => status === 'rejected');
    assert.ok(refused.length > 0, 'it was killed in the middle of them');
    await cloud.startAgain();
  } finally {
    await cloud.close();
  }
});

/** A small generator with a seed, so that a failure can be repeated. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('a server that is killed at random moments loses, leaks and doubles nothing', async (context) => {
  const seed = Number(process.env.VIRGA_TEST_SEED ?? Date.now() % 1_000_000);
  context.diagnostic(`VIRGA_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const timings = { rootDiskMs: 10, seedMs: 5, startMs: 20, destroyMs: 10, defineMs: 3 };
  const cloud = await SimulatedCloud.start({ hosts: [{ timings: { ...timings, guestShutdownMs: 20 } }] });
  try {
    await cloud.prepare();
    const wanted = new Set<InstanceId>();
    const operations: OperationId[] = [];
    for (let round = 0; round < 8; round++) {
      const work = Array.from({ length: 6 }, async (_, index) => {
        const launch = launchOf(`web-${round}-${index}`);
        const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, launch);
        wanted.add(instance.id);
        operations.push(operationId);
      });
      for (const id of [...wanted].filter(() => random() < 0.3)) {
        work.push(
          deleteInstance(cloud.deps, cloud.operator, id).then(({ operationId }) => {
            wanted.delete(id);
            operations.push(operationId);
          }),
        );
      }
      // What was not answered may have happened or not; its outcome is looked up below.
      const settled = Promise.allSettled(work);
      await sleep(random() * 80);
      await cloud.kill();
      await settled;
      await cloud.startAgain();
    }
    for (const id of operations) await cloud.ended(id);
    const rows = await cloud.deps.db.selectFrom('instances').select(['id', 'desired']).execute();
    for (const { id } of rows.filter(({ desired }) => desired !== 'deleted')) {
      for (const open of await openOperations(cloud, id)) await cloud.ended(open);
    }
    const kept = new Set((await cloud.deps.db.selectFrom('instances').select('id').execute()).map(({ id }) => id));
    for (const id of wanted) {
      if (!kept.has(id)) assert.ok(await wasAskedToGo(cloud, id), `${id} was acknowledged and is lost`);
    }
    const domains = (await cloud.host().listInstances(cloud.deps.cloudId)).map(({ id }) => id);
    for (const id of kept) {
      assert.ok(domains.includes(id), `${id} has no domain`);
      assert.equal(cloud.host().bootCount(id), 1, `${id} was started once`);
    }
    const all = await Promise.all([...kept].map((id) => deleteInstance(cloud.deps, cloud.operator, id)));
    for (const { operationId } of all) await cloud.succeeded(operationId);
    await cloud.assertNothingLeft();
  } finally {
    await cloud.close();
  }
});

async function openOperations(cloud: SimulatedCloud, id: InstanceId): Promise<OperationId[]> {
  const rows = await cloud.deps.db
    .selectFrom('operations')
    .select('id')
    .where('resource_id', '=', id)
    .where('finished_at', 'is', null)
    .execute();
  return rows.map((row) => row.id);
}

/** A delete whose answer was cut off by the kill has been asked for all the same. */
async function wasAskedToGo(cloud: SimulatedCloud, id: InstanceId): Promise<boolean> {
  return (await cloud.eventTypes(id)).includes('instance.delete-requested');
}

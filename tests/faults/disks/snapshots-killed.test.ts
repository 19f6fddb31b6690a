// The server is killed at steps of taking, going back to and deleting snapshots, and of making clones with their volumes and volumes
// alone, on a real host whose guest writes: every disk holds what was written to it, and no file is left. VIRGA_TEST_SNAPSHOT_KILLS says how many kills it is to be at
// least; all steps of all verbs are gone through again and again then. With VIRGA_TEST_SNAPSHOT_CEPH root, volume or both lie in Ceph.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '@virga/testing/until';
import { nothingLeft } from '../every-verb/nothing-left.ts';
import { type LibvirtCloud, openLibvirtCloud } from '../libvirt-cloud.ts';
import { DiskWorld } from './disk-world.ts';
import { snapshotVerbs, type Verb } from './snapshot-verbs.ts';

const inCeph = process.env.VIRGA_TEST_SNAPSHOT_CEPH;
const wantedKills = Number(process.env.VIRGA_TEST_SNAPSHOT_KILLS ?? 8);
/** Without that many to do, not every step is tried. */
const stride = wantedKills > 50 ? 1 : 9;

test('every disk holds what was written to it, however often the server is killed', async (t) => {
  const setting = await openLibvirtCloud();
  t.after(() => setting.close());
  const world = await DiskWorld.open(setting, {
    root: inCeph === 'root' || inCeph === 'both',
    volume: inCeph === 'volume' || inCeph === 'both',
  });
  t.after(() => world.close());
  const { instance } = world;
  let kills = 0;
  let turn = 0;
  for (let round = 0; kills < wantedKills; round++) {
    for (const verb of snapshotVerbs) {
      for (let step = 1 + (round % stride); ; step += stride) {
        turn++;
        // Whoever deletes or goes back needs something to choose from.
        if (world.kept.size < 2) for (const more of [1, 2]) await calmly(world, snapshotVerbs[0]!, turn * 1000 + more);
        await world.write();
        const isKilled = await underFault(setting, world, verb, turn, step);
        await world.compareAll(`${verb.name}, killed at step ${step}`);
        if (!isKilled) break;
        if (++kills >= wantedKills) break;
      }
      if (kills >= wantedKills) break;
      while (world.kept.size > 4) await calmly(world, snapshotVerbs.at(-1)!, 0);
    }
  }
  while (world.kept.size > 0) await calmly(world, snapshotVerbs.at(-1)!, 0);
  await world.compareAll('at the end');
  const { client } = setting.cloud;
  await client.deleteInstance({ params: { id: instance.id }, query: { withVolumes: true } });
  await nothingLeft(setting);
  await until('nothing is left in Ceph', async () => (await world.inCeph()).length === 0, { timeoutMs: 60_000 });
  t.diagnostic(`${kills} kills, ${world.compared} disks compared, 0 lost, 0 leaked`);
  assert.ok(kills >= wantedKills);
});

/** @returns false when it was over before that step came */
async function underFault(
  { cloud }: LibvirtCloud,
  world: DiskWorld,
  verb: Verb,
  turn: number,
  step: number,
): Promise<boolean> {
  await cloud.killAtStep(step);
  const asked = verb.ask(world, turn).catch(async (error) => {
    // It is asked for again, of a server that lives.
    if (!(await cloud.isDying())) throw error;
  });
  const isOver = asked.then(() => nothingUnderWay(cloud)).then(() => cloud.isAlive);
  if (await Promise.race([isOver, died(cloud).then(() => false)])) await cloud.killAtStep(Number.MAX_SAFE_INTEGER);
  if (cloud.isAlive) {
    await verb.settle(world, turn);
    return false;
  }
  await asked;
  await cloud.start();
  await verb.ask(world, turn);
  await verb.settle(world, turn);
  return true;
}

/** By the database, which does not die; of a server that does, something stays under way. */
async function nothingUnderWay(cloud: LibvirtCloud['cloud']): Promise<void> {
  const underWay = () =>
    cloud.store.db.selectFrom('operations').select('id').where('finished_at', 'is', null).limit(1).executeTakeFirst();
  while (cloud.isAlive && (await underWay()) !== undefined) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function died(cloud: LibvirtCloud['cloud']): Promise<void> {
  while (cloud.isAlive) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function calmly(world: DiskWorld, verb: Verb, turn: number): Promise<void> {
  await verb.ask(world, turn);
  await verb.settle(world, turn);
}

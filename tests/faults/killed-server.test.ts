// The server is killed at many moments of launches and deletes, on a simulated host and on a real one. After each restart
// every instance that was acknowledged is there exactly once, every deleted one is gone, and nothing leaks.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { startHypervisor } from '@virga/testing/hypervisor';
import { CloudUnderFault } from './cloud-under-fault.ts';
import { type FaultCluster, openFaultCluster } from './fault-cluster.ts';
import { Ledger } from './ledger.ts';
import { prepareCloud } from './prepare-cloud.ts';
import type { HostPlan } from './server-protocol.ts';

/** Where the server dies. Numbers count from the moment when the round begins. */
type KillPoint =
  | { at: 'step'; number: number }
  | { at: 'before-commit' | 'after-commit'; number: number }
  | { at: 'answer'; number: number }
  | { at: 'time'; ms: number };

let cluster: FaultCluster;
const totals = { kills: 0, lost: 0, leaked: 0, duplicated: 0 };

before(async () => {
  cluster = await openFaultCluster();
});
after(() => cluster?.close());

test('killed on a simulated host at 44 points, the server loses nothing and leaves nothing', async (t) => {
  const timings = {
    startMs: 15,
    destroyMs: 10,
    rootDiskMs: 2,
    seedMs: 2,
    guestShutdownMs: 20,
    networkMs: 5,
    imageMs: 5,
  };
  const points: KillPoint[] = [
    ...[1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 17, 19, 21].map((number) => ({ at: 'step' as const, number })),
    ...[1, 2, 3, 4, 5, 6, 8, 10, 12].map((number) => ({ at: 'before-commit' as const, number })),
    ...[1, 2, 3, 4, 5, 6, 8, 10, 12].map((number) => ({ at: 'after-commit' as const, number })),
    ...[1, 2, 3, 4].map((number) => ({ at: 'answer' as const, number })),
    ...[3, 8, 15, 25, 40, 60, 90, 130].map((ms) => ({ at: 'time' as const, ms })),
  ];
  await killAtEach(t, { driver: 'simulated', stateFile: join(cluster.folder, 'host.journal'), timings }, points, {
    launches: 3,
    deletes: 2,
  });
});

test('killed on a real host at 12 points, the server loses nothing and leaves nothing', async (t) => {
  const hypervisor = await startHypervisor();
  t.after(() => hypervisor.close());
  const storagePath = join(cluster.folder, 'storage');
  mkdirSync(storagePath, { mode: 0o711 });
  const points: KillPoint[] = [
    ...[1, 2, 3, 4, 5, 6, 7, 8, 10].map((number) => ({ at: 'step' as const, number })),
    { at: 'after-commit', number: 2 },
    { at: 'answer', number: 1 },
    { at: 'time', ms: 300 },
  ];
  await killAtEach(t, { driver: 'libvirt', storagePath }, points, { launches: 1, deletes: 1 });
  assert.deepEqual(readdirSync(join(storagePath, 'instances')), [], 'files of instances');
  assert.equal(execFileSync('virsh', ['list', '--all', '--name'], { encoding: 'utf8' }).trim(), '', 'domains');
});

test('that were at least 50 kills in all', (t) => {
  const { kills, lost, leaked, duplicated } = totals;
  t.diagnostic(`${kills} kills, ${lost} lost, ${leaked} leaked, ${duplicated} duplicated`);
  assert.ok(kills >= 50);
  assert.deepEqual({ lost, leaked, duplicated }, { lost: 0, leaked: 0, duplicated: 0 });
});

type Diary = { after(work: () => Promise<void>): void; diagnostic(message: string): void };

async function killAtEach(
  t: Diary,
  host: HostPlan,
  points: readonly KillPoint[],
  work: { launches: number; deletes: number },
): Promise<void> {
  const imagePath = join(cluster.folder, 'guest.raw');
  writeFileSync(imagePath, tinyGuestDisk({ answersAcpi: true }));
  const cloud = await CloudUnderFault.create({
    folder: join(cluster.folder, host.driver),
    cluster: cluster.config,
    host,
  });
  t.after(() => cloud.close());
  await cloud.start();
  const ledger = new Ledger(cloud, await prepareCloud(cloud, imagePath));
  const faults: string[] = [];
  for (let launched = 0; launched < work.deletes; launched++) await ledger.launch();
  await ledger.settle();
  for (const point of points) {
    await dieAt(cloud, ledger, point, work);
    totals.kills++;
    await cloud.start();
    await ledger.settle();
    faults.push(...(await judge(ledger, JSON.stringify(point))));
    if (faults.length > 0) break;
  }
  for (const entry of ledger.living) await ledger.delete(entry);
  await ledger.settle();
  faults.push(...(await judge(ledger, 'the end')));
  t.diagnostic(`${host.driver}: ${points.length} kills`);
  assert.deepEqual(faults, []);
}

/** Does the work of a round, in the midst of which the server dies. */
async function dieAt(
  cloud: CloudUnderFault,
  ledger: Ledger,
  point: KillPoint,
  { launches, deletes }: { launches: number; deletes: number },
): Promise<void> {
  if (point.at === 'step') await cloud.killAtStep(point.number);
  if (point.at === 'before-commit') cloud.relay.atCommit('before', point.number, () => cloud.shoot());
  if (point.at === 'after-commit') cloud.relay.atCommit('after', point.number, () => cloud.shoot());
  if (point.at === 'time') setTimeout(() => cloud.shoot(), point.ms);
  let answers = 0;
  const count = (acknowledged: boolean) => {
    if (acknowledged && point.at === 'answer' && ++answers === point.number) cloud.shoot();
  };
  // As many go as come, so that each round begins alike.
  const doomed = ledger.living.slice(0, Math.max(deletes, ledger.living.length - launches));
  const requests = [
    ...Array.from({ length: launches }, () => ledger.launch().then(count)),
    ...doomed.map((entry) => ledger.delete(entry).then(count)),
  ];
  await Promise.all(requests);
  await cloud.died();
}

async function judge(ledger: Ledger, when: string): Promise<string[]> {
  const verdict = await ledger.judge();
  totals.lost += verdict.lost.length;
  totals.leaked += verdict.leaked.length;
  totals.duplicated += verdict.duplicated.length;
  return Object.entries(verdict).flatMap(([kind, faults]) => faults.map((fault) => `${kind} at ${when}: ${fault}`));
}

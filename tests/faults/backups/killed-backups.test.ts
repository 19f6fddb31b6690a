// The process that backs up and restores is killed, with SIGKILL, before every step and at other moments, and goes on as another one.
// After each kill the disk is what was written, no process and no file is left, and what is in the store is what was on the disk.
// VIRGA_TEST_BACKUP_KILLS=100 kills that often instead of once a step, and then compares after each kill.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FinishedBackup } from '@virga/contract/agent/backups';
import { newId } from '@virga/contract/ids';
import { checkpointName } from '@virga/host-agent/libvirt/backups/checkpoints';
import { BackupWorld, diskBytes, readDisk } from '@virga/host-agent/libvirt/backups/testing/backup-world';
import { openTestHost, type TestHost } from '@virga/host-agent/libvirt/testing/test-host';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';

const backupSteps = ['read', 'begun', 'pushed', 'store', 'settings', 'done'].map((step) => `backup-${step}`);
const restoreSteps = {
  fetchRestore: ['restore-folder', 'restore-fetch'],
  swapDisks: ['restore-set-aside', 'restore-put'],
  endRestore: ['restore-end'],
};
type RestoreMethod = keyof typeof restoreSteps;

const asked = Number(process.env.VIRGA_TEST_BACKUP_KILLS ?? 0);
const isThorough = asked > 0;
/** Kills at no step in particular; among the others when there are many. */
const anywhere = '-';
const longestMs = 3_000;
const blockBytes = 64 * 1024;
/** Of many kills, those of backups; the rest is of restores. */
const backupShare = 0.4;
/** Longer ones take long to restore after each kill. */
const longestChain = 4;

let hypervisor: Hypervisor;
let host: TestHost;
let world: BackupWorld;
let kills = 0;
before(async () => {
  hypervisor = await startHypervisor();
  host = await openTestHost(213);
  world = await BackupWorld.open(host);
  await host.agent.applyInstance(world.instance);
});
after(async () => {
  await world?.close();
  await host?.close();
  await hypervisor?.close();
});

/** @returns what it answered; undefined when it was killed */
function callUntilKilled<T>(step: string, method: string, argument: unknown): Promise<T | undefined> {
  const program = join(import.meta.dirname, 'until-killed.ts');
  const argv = ['--conditions=development', program, host.storagePath, step, method, JSON.stringify(argument)];
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, argv, (error, stdout, stderr) => {
      clearTimeout(timer);
      if (child.signalCode === 'SIGKILL') {
        kills += 1;
        resolve(undefined);
      } else if (error) reject(new Error(stderr));
      else resolve(JSON.parse(stdout) as T);
    });
    const timer = step === anywhere ? setTimeout(() => child.kill('SIGKILL'), Math.random() * longestMs) : undefined;
  });
}

/** Programs that work on what lies in the storage or the store. */
async function helpers(): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (/(^|\/)(restic|qemu-nbd|qemu-img)$/.test(words[0] ?? '')) found.push(words.join(' '));
  }
  return found.filter((line) => line.includes(host.storagePath) || line.includes('virga-nbd-'));
}

const endedWithIt = () => until('what it had started has ended too', async () => (await helpers()).length === 0);

async function backUpThroughKills(step: string): Promise<void> {
  const length = blockBytes * (1 + Math.floor(Math.random() * 4));
  const offset = blockBytes * Math.floor(Math.random() * (diskBytes / blockBytes - 4));
  await world.write(offset, length, 1 + Math.floor(Math.random() * 255));
  const desired = world.desired({ full: world.made.length % longestChain === 0 });
  const killed = await callUntilKilled<FinishedBackup>(step, 'makeBackup', desired);
  if (killed === undefined) await endedWithIt();
  const backup = killed ?? (await host.agent.makeBackup(desired));
  // Of the first one, which nothing was before, of the next, and of all when there are many.
  if (isThorough || world.made.length < 2) await callUntilKilled('backup-end', 'endBackup', { ...desired, made: true });
  await host.agent.endBackup({ ...desired, made: true });
  world.made.push({ backup, content: Buffer.from(world.content) });
  const isFull = desired.parent === null || desired.full;
  assert.equal(backup.fullReason !== null, isFull, `after ${step}: a kill of ours breaks no chain`);
  await assertNothingLeft(step);
  if (isThorough) assert.ok((await world.restored(backup.id)).equals(world.content), `after ${step}`);
}

async function assertNothingLeft(step: string): Promise<void> {
  const left = (await readdir(join(host.storagePath, 'backups'))).filter((name) => name !== 'restic');
  assert.deepEqual(left, [], `after ${step}`);
  const ref = await host.outside.domains.lookupByUuid(world.instance.uuid);
  const checkpoints = (await host.outside.domains.listCheckpoints(ref)).map(({ name }) => name);
  const known = world.made.map(({ backup }) => checkpointName(backup.id));
  assert.ok(
    checkpoints.every((name) => known.includes(name)),
    `after ${step}: ${checkpoints}`,
  );
}

test('a backup goes on where its process was killed, and is what was on the disk', async () => {
  const isEnough = (round: number) => (isThorough ? kills >= asked * backupShare : round === backupSteps.length);
  for (let round = 0; !isEnough(round); round++) {
    // Every other one at any moment, when there are many.
    const isAnywhere = isThorough && round % 2 === 1;
    await backUpThroughKills(isAnywhere ? anywhere : backupSteps[round % backupSteps.length]!);
  }
  const { backup, content } = world.made.at(-1)!;
  assert.ok((await world.restored(backup.id)).equals(content));
  assert.ok(content.equals(world.content));
});

test('a restore in place goes on where its process was killed, and back', async (t) => {
  const { agent, cloudId } = host;
  await agent.applyInstance({
    ...world.instance,
    generation: 2,
    power: { state: 'stopped', forceAt: new Date(0).toISOString() },
  });
  const { backup } = world.made[Math.max(0, world.made.length - 3)]!;
  const wanted = world.made.find((made) => made.backup.id === backup.id)!.content;
  const root = world.instance.rootDisk.id;
  const { id: instanceId, uuid } = world.instance;
  const all = Object.entries(restoreSteps).flatMap(([method, steps]) => steps.map((step) => ({ method, step })));
  const isEnough = (at: number) => (isThorough ? kills >= asked : at === all.length);
  for (let at = 0; !isEnough(at); at++) {
    const killAt = isThorough && at % 4 === 3 ? { method: 'fetchRestore', step: anywhere } : all[at % all.length]!;
    const restore = { id: newId('restore'), cloudId, instance: { id: instanceId, uuid } };
    const fetch = {
      ...restore,
      store: world.store,
      hidesBase: true,
      disks: [{ id: root, chain: world.chainOf(backup.id) }],
    };
    const swap = { ...restore, disks: [{ id: root, role: 'root' as const, fetched: root }] };
    const call = async (method: RestoreMethod, argument: unknown) => {
      if (killAt.method === method) {
        await callUntilKilled(killAt.step, method, argument);
        await endedWithIt();
      }
      await (agent[method] as (argument: unknown) => Promise<unknown>)(argument);
    };
    await call('fetchRestore', fetch);
    await call('swapDisks', swap);
    assert.ok(
      (await readDisk(await world.rootFile())).equals(wanted),
      `after ${killAt.step}: the disk is the restored one`,
    );
    await agent.swapDisksBack(swap);
    assert.ok((await readDisk(await world.rootFile())).equals(world.content), `after ${killAt.step}: it is as before`);
    await call('endRestore', restore);
    await assertNothingLeft(killAt.step);
  }
  await agent.checkBackupStore(world.store, { readPercent: 100 });
  const known = world.made.flatMap((made) => [
    made.backup.settingsSnapshotId,
    ...made.backup.disks.map(({ snapshotId }) => snapshotId),
  ]);
  const snapshots = (await agent.listStoreSnapshots(world.store)).map(({ id }) => id);
  assert.deepEqual(
    known.filter((id) => !snapshots.includes(id)),
    [],
    'nothing is lost in the store',
  );
  // What a killed call had stored already belongs to no backup, and goes with the next check.
  const left = snapshots.filter((id) => !known.includes(id));
  assert.ok(left.length <= kills, `${left.length} are left of ${kills} kills`);
  await agent.removeStoreSnapshots(world.store, left);
  assert.equal((await agent.listStoreSnapshots(world.store)).length, known.length);
  t.diagnostic(`${kills} kills`);
  assert.ok(kills >= (isThorough ? asked : backupSteps.length + all.length), `${kills} kills`);
});

test('what is recorded of changes outlives a kill of libvirtd', async () => {
  const { agent } = host;
  await agent.applyInstance({ ...world.instance, generation: 3 });
  const first = await world.backUp();
  assert.equal(first.fullReason, 'chain-broken', 'the disk was another one meanwhile');
  await world.write(0, blockBytes, 0xaa);
  await hypervisor.kill();
  await hypervisor.start();
  const second = await world.backUp();
  assert.equal(second.fullReason, null);
  assert.equal(second.disks[0]?.dataBytes, blockBytes);
  assert.ok((await world.restored(second.id)).equals(world.content));
});

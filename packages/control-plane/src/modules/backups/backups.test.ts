import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type BackupId, newId } from '@virga/contract/ids';
import type { CreateBackup } from '@virga/contract/rest/backups';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { systemAccess } from '../../access/system-access.ts';
import { inTransaction } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { attachVolume } from '../instances/attach-volume.ts';
import { destroyInstance } from '../instances/instance-operations.ts';
import { createOperation, endOperation } from '../operations/operation-store.ts';
import { createSnapshot, deleteSnapshot } from '../snapshots/snapshot-operations.ts';
import { createVolume } from '../volumes/create-volume.ts';
import { listVolumes } from '../volumes/volume-operations.ts';
import { openBackup, readBackupFile } from './backup-files.ts';
import { createBackup, deleteBackup, getBackup, listBackups, mergeBackup, verifyBackup } from './backup-operations.ts';
import { chainOf } from './backup-rows.ts';
import { restoreBackup } from './restore-operations.ts';
import { retainBackupsKind } from './retain-backups.workflow.ts';
import { createBackupSchedule, deleteBackupSchedule, listBackupSchedules } from './schedule-operations.ts';
import {
  checkBackupStore,
  createBackupStore,
  deleteBackupStore,
  getBackupStore,
  getBackupStoreKey,
  importBackupStore,
} from './store-operations.ts';

let cloud: SimulatedCloud;
const path = `/stores/${newId('backupStore')}`;
before(async () => {
  cloud = await SimulatedCloud.start({ settings: { resyncPeriodMs: 300, reconcilePeriodMs: 300 } });
  await cloud.prepare();
  const { operationId } = await createBackupStore(cloud.deps, cloud.administrator, { name: 'main', path });
  await cloud.succeeded(operationId);
});
after(() => cloud.close());

const get = (id: BackupId) => getBackup(cloud.deps.db, cloud.operator, id);
async function backUp(instance: string, more: Partial<CreateBackup> = {}) {
  const { backup, operationId } = await createBackup(cloud.deps, cloud.operator, { instance, ...more });
  await cloud.succeeded(operationId);
  return get(backup.id);
}
const remove = async (id: BackupId) =>
  cloud.succeeded((await deleteBackup(cloud.deps, cloud.operator, id)).operationId);

test('a store shows no secret but to who asks for it, and what cannot be opened is forgotten again', async () => {
  const { items } = { items: [await getBackupStore(cloud.deps.db, cloud.operator, (await mainStore()).id)] };
  assert.equal(items[0]?.state, 'available');
  const { password } = await getBackupStoreKey(cloud.deps, cloud.administrator, items[0]!.id);
  assert.equal(JSON.stringify(items).includes(password), false);
  const row = await mainStore();
  assert.equal(row.password_sealed.includes(password), false);
  const wrong = await createBackupStore(cloud.deps, cloud.administrator, {
    name: 'other',
    path,
    password: 'something else',
  });
  const error = await cloud.failed(wrong.operationId);
  assert.equal(error.code, 'InvalidArgument');
  await assert.rejects(getBackupStore(cloud.deps.db, cloud.operator, wrong.store.id), { code: 'NotFound' });
  await assert.rejects(createBackupStore(cloud.deps, cloud.administrator, { name: 'none' }), { field: '/path' });
  await assert.rejects(createBackupStore(cloud.deps, cloud.administrator, { name: 'main', path: '/x' }), {
    code: 'NameTaken',
  });
});

const mainStore = () =>
  cloud.deps.db.selectFrom('backup_stores').selectAll().where('name', '=', 'main').executeTakeFirstOrThrow();

test('a cloud that knows nothing of a store finds what is in it, and restores it', async () => {
  const instance = await cloud.launch('found');
  const [first, second] = [await backUp('found'), await backUp('found')];
  await cloud.succeeded((await mergeBackup(cloud.deps, cloud.operator, second.id)).operationId);
  const third = await backUp('found');
  const { password } = await getBackupStoreKey(cloud.deps, cloud.administrator, (await mainStore()).id);
  const other = await SimulatedCloud.start();
  try {
    await other.prepare();
    const { deps, operator, administrator } = other;
    const opened = await createBackupStore(deps, administrator, { name: 'old', path, password });
    await other.succeeded(opened.operationId);
    const { items } = await listBackups(deps.db, operator, { instance: 'found' });
    const { scheduleId, verified, openUntil } = first;
    const own = { scheduleId, verified, openUntil, projectId: operator.projectId };
    const known = await Promise.all([third, second, first].map(({ id }) => get(id)));
    const asFound = known.map((backup) => ({ ...backup, ...own, storeId: opened.store.id, storeName: 'old' }));
    assert.deepEqual(items, asFound);
    const restored = await restoreBackup(deps, operator, third.id, {});
    await other.succeeded(restored.operationId);
    assert.notEqual(restored.instanceId, instance.id);

    const fourth = await backUp('found');
    await other.succeeded((await checkBackupStore(deps, administrator, opened.store.id, {})).operationId);
    const again = await importBackupStore(deps, administrator, opened.store.id);
    await other.succeeded(again.operationId);
    assert.equal((await getBackup(deps.db, operator, fourth.id)).parentId, third.id);
  } finally {
    await other.close();
  }
});

test('backups rest on each other; one that others rest on stays until it is merged into them', async () => {
  await cloud.launch('chain');
  const [first, second, third] = [await backUp('chain'), await backUp('chain'), await backUp('chain')];
  assert.deepEqual([first.fullReason, second.fullReason, third.fullReason], ['first', null, null]);
  assert.deepEqual([first.parentId, second.parentId, third.parentId], [null, first.id, second.id]);
  await assert.rejects(deleteBackup(cloud.deps, cloud.operator, first.id), { code: 'InUse' });
  await cloud.succeeded((await mergeBackup(cloud.deps, cloud.operator, third.id)).operationId);
  assert.deepEqual([(await get(third.id)).parentId, (await get(third.id)).fullReason], [null, 'synthetic']);
  const fourth = await backUp('chain');
  assert.equal(fourth.parentId, third.id, 'what is recorded since goes on being of use');
  await remove(second.id);
  await remove(first.id);
  await assert.rejects(get(first.id), { code: 'NotFound' });
  assert.equal((await backUp('chain', { full: true })).fullReason, 'asked');
  const { items } = await listBackups(cloud.deps.db, cloud.operator, { instance: 'chain' });
  assert.equal(items.length, 3);
});

test('where the chain is broken a backup is full, and an event says so', async () => {
  const instance = await cloud.launch('broken');
  await backUp('broken');
  cloud.host(0).loseRecords(instance.id);
  assert.equal((await backUp('broken')).fullReason, 'chain-broken');
  const events = await cloud.deps.db
    .selectFrom('events')
    .select('message')
    .where('type', '=', 'backup.chain-broken')
    .execute();
  assert.equal(events.length, 1);
  assert.match(events[0]!.message, /has everything in it, because/);
});

test('a backup waits for a store that is away; one that is given up leaves nothing', async () => {
  await cloud.launch('patient');
  cloud.host(0).loseStore(path);
  const { backup, operationId } = await createBackup(cloud.deps, cloud.operator, { instance: 'patient' });
  await until('it waits', async () => {
    const row = await cloud.deps.db
      .selectFrom('operations')
      .select('message')
      .where('id', '=', operationId)
      .executeTakeFirst();
    return row?.message?.startsWith('waiting: ');
  });
  const second = await createBackup(cloud.deps, cloud.operator, { instance: 'patient' });
  const given = await deleteBackup(cloud.deps, cloud.operator, second.backup.id);
  assert.equal(given.operationId, second.operationId);
  assert.equal((await cloud.failed(second.operationId)).code, 'Conflict');
  await assert.rejects(get(second.backup.id), { code: 'NotFound' });
  cloud.host(0).findStore(path);
  await cloud.succeeded(operationId);
  assert.equal((await get(backup.id)).state, 'available');
});

test('a backup becomes a new instance, and takes the place of the disks of its own', async () => {
  const instance = await cloud.launch('origin');
  const asked = { name: 'data', sizeGib: 1, instance: 'origin', encrypted: true };
  await cloud.succeeded((await createVolume(cloud.deps, cloud.operator, asked)).operationId);
  const attached = await attachVolume(cloud.deps, cloud.operator, instance.id, { volume: 'data' });
  await cloud.succeeded(attached.operationId);
  // The host knows no keys any more.
  await cloud.kill();
  await cloud.startAgain();
  const { deps, operator } = cloud;
  const backup = await backUp('origin');
  await assert.rejects(restoreBackup(cloud.deps, cloud.operator, backup.id, {}), { code: 'NameTaken' });
  cloud.host().failNext('volume', 'StorageFull');
  const refused = await restoreBackup(cloud.deps, cloud.operator, backup.id, { name: 'again' });
  assert.equal((await cloud.failed(refused.operationId)).code, 'StorageFull');
  await assert.rejects(cloud.instance(refused.instanceId), { code: 'NotFound' });
  await until('its volume is gone', async () => (await listVolumes(deps.db, operator, {})).items.length === 1);
  const restored = await restoreBackup(cloud.deps, cloud.operator, backup.id, { name: 'again' });
  await cloud.succeeded(restored.operationId);
  assert.equal((await cloud.instance(restored.instanceId)).state, 'running');
  const names = (await listVolumes(deps.db, operator, {})).items.map(({ name, attachment, encrypted }) => [
    ...[name, attachment?.instanceName, encrypted],
  ]);
  assert.deepEqual(names.sort(), [
    ['data', 'origin', true],
    ['data-restored', 'again', true],
  ]);
  await assert.rejects(restoreBackup(cloud.deps, cloud.operator, backup.id, { inPlace: true }), { code: 'Conflict' });
  await cloud.succeeded((await destroyInstance(cloud.deps, cloud.operator, instance.id)).operationId);
  const { snapshot, operationId: taking } = await createSnapshot(deps, operator, { instance: 'origin' });
  await cloud.succeeded(taking);
  const rests = { code: 'Conflict', message: /has snapshots, such as/ };
  await assert.rejects(
    restoreBackup(deps, operator, backup.id, { inPlace: true }),
    rests,
    'before anything is fetched',
  );
  await cloud.succeeded((await deleteSnapshot(deps, operator, snapshot.id)).operationId);
  const become = (format: 'raw' | 'qcow2') =>
    deps.db.updateTable('volumes').set({ format }).where('name', '=', 'data').execute();
  await become('raw');
  const otherForm = { code: 'Conflict', message: /The volume data is raw, and what is fetched is qcow2/ };
  await assert.rejects(restoreBackup(deps, operator, backup.id, { inPlace: true }), otherForm);
  await become('qcow2');
  const inPlace = await restoreBackup(cloud.deps, cloud.operator, backup.id, { inPlace: true });
  await cloud.succeeded(inPlace.operationId);
  assert.equal(inPlace.instanceId, instance.id);
});

test('single files of a backup are read while it is open, which ends by the clock', async () => {
  await cloud.launch('files');
  const backup = await backUp('files');
  const read = (file: string) =>
    readBackupFile(cloud.deps, cloud.operator, backup.id, { path: file }, new AbortController().signal);
  await assert.rejects(read('/'), { code: 'Conflict' });
  await cloud.succeeded((await openBackup(cloud.deps, cloud.operator, backup.id)).operationId);
  assert.ok((await get(backup.id)).openUntil);
  assert.equal((await read('/')).kind, 'folder');
  const file = await read('/etc/hostname');
  assert.ok(file.kind === 'file' && Buffer.from(file.content, 'base64').toString() === 'simulated\n');
  await assert.rejects(read('/nothing'), { code: 'NotFound', field: '/path' });
  await cloud.succeeded((await openBackup(cloud.deps, cloud.operator, backup.id)).operationId);
  await cloud.deps.db
    .updateTable('backups')
    .set({ opened_until: new Date(0) })
    .where('id', '=', backup.id)
    .execute();
  await cloud.deps.db.transaction().execute((tx) => notify(tx, 'due'));
  await until('it is closed', async () => (await get(backup.id)).openUntil === null);
  await assert.rejects(read('/'), { code: 'Conflict' });
});

test('a test of a backup boots a machine of it, and leaves nothing; what is damaged is found', async () => {
  await cloud.launch('tested');
  const backup = await backUp('tested');
  const verify = (more = {}) =>
    verifyBackup(cloud.deps, cloud.operator, backup.id, { expect: '[boot', timeoutSeconds: 30, ...more });
  await cloud.succeeded((await verify()).operationId);
  assert.equal((await get(backup.id)).verified?.outcome, 'boots');
  await cloud.succeeded((await verify({ boot: false })).operationId);
  assert.equal((await get(backup.id)).verified?.outcome, 'sound');
  assert.deepEqual(await cloud.host(0).listInstances(`restore-test.${cloud.deps.cloudId}`), []);
  cloud.host(0).loseStore(path, 'damaged');
  assert.equal((await cloud.failed((await verify()).operationId)).code, 'BackupUnusable');
  assert.equal((await get(backup.id)).verified?.outcome, 'failed');
  const { id } = await mainStore();
  await cloud.failed((await checkBackupStore(cloud.deps, cloud.administrator, id, {})).operationId);
  assert.equal((await mainStore()).state, 'damaged');
  cloud.host(0).findStore(path);
  await cloud.succeeded((await checkBackupStore(cloud.deps, cloud.administrator, id, {})).operationId);
  assert.deepEqual([(await mainStore()).state, (await mainStore()).state_reason], ['available', null]);
});

test('by the clock backups are made, chains begin anew, and what need not be kept goes', async () => {
  const instance = await cloud.launch('nightly');
  // A run that was due a moment ago is made up for, and the next is tomorrow.
  const dueAt = new Date(Math.floor(cloud.deps.clock.now().getTime() / 60_000) * 60_000);
  const cron = `${dueAt.getUTCMinutes()} ${dueAt.getUTCHours()} * * *`;
  const wanted = { instance: 'nightly', cron, retention: { last: 2 }, chainLimit: 2 };
  const come = (origin: 'adopted' | 'launched') =>
    cloud.deps.db.updateTable('instances').set({ origin }).where('id', '=', instance.id).execute();
  await come('adopted');
  await assert.rejects(createBackupSchedule(cloud.deps, cloud.operator, wanted), { code: 'Conflict' });
  await come('launched');
  const schedule = await createBackupSchedule(cloud.deps, cloud.operator, wanted);
  const { items } = await listBackupSchedules(cloud.deps.db, cloud.operator, { instance: 'nightly' });
  assert.deepEqual(items, [schedule]);
  const mine = () =>
    cloud.deps.db
      .selectFrom('backups')
      .selectAll()
      .where('instance_id', '=', instance.id)
      .orderBy('taken_at')
      .execute();
  const idle = () =>
    until('all that the clock asked for is done', async () => {
      const open = await cloud.deps.db.selectFrom('operations').select('id').where('finished_at', 'is', null).execute();
      return open.length === 0 && (await mine()).every(({ state }) => state === 'available');
    });
  let last: string | undefined;
  for (let night = 0; night < 4; night++) {
    await cloud.deps.db.updateTable('backup_schedules').set({ next_run_at: dueAt }).execute();
    await cloud.deps.db.transaction().execute((tx) => notify(tx, 'due'));
    await until('one has been made', async () => {
      const now = (await mine()).at(-1);
      return now !== undefined && now.id !== last && now.state === 'available';
    });
    await idle();
    last = (await mine()).at(-1)!.id;
  }
  const left = await mine();
  assert.ok(left.length >= 2 && left.length <= 3, `${left.length} are left`);
  const chain = await chainOf(cloud.deps.db, left.at(-1)!.id);
  assert.ok(chain.length <= 2, `${chain.length} rest on each other`);
  await deleteBackupSchedule(cloud.deps, cloud.operator, schedule.id);
  assert.equal((await mine()).length, left.length, 'its backups stay');
});

test('what somebody works with just now stays for as long, whatever its schedule says', async () => {
  const { id: instanceId } = await cloud.launch('worked-with');
  const schedule = await createBackupSchedule(cloud.deps, cloud.operator, {
    ...{ instance: 'worked-with', cron: '0 0 1 1 *', retention: { last: 1 } },
  });
  const made = [await backUp('worked-with', { full: true }), await backUp('worked-with', { full: true })];
  const ids = made.map(({ id }) => id);
  await cloud.deps.db.updateTable('backups').set({ schedule_id: schedule.id }).where('id', 'in', ids).execute();
  const resource = { projectId: cloud.operator.projectId, resourceId: ids[0]!, resourceName: 'worked-with' };
  const access = systemAccess('schedules');
  const work = await inTransaction(cloud.deps.db, (tx) =>
    createOperation(tx, access, { kind: 'backup.verify', ...resource }),
  );
  const left = async () => {
    const input = { scheduleId: schedule.id };
    const about = { ...resource, resourceId: instanceId };
    await cloud.succeeded(
      await inTransaction(cloud.deps.db, (tx) => startWorkflow(tx, access, retainBackupsKind, about, input)),
    );
    const { items } = await listBackups(cloud.deps.db, cloud.operator, { instance: 'worked-with' });
    return items.map(({ id }) => id).sort();
  };
  assert.deepEqual(await left(), ids.toSorted());
  await inTransaction(cloud.deps.db, (tx) => endOperation(tx, access, work, {}, cloud.deps.clock.now()));
  assert.deepEqual(await left(), [ids[1]]);
  await deleteBackupSchedule(cloud.deps, cloud.operator, schedule.id);
});

test('a store is forgotten when nothing is in it', async () => {
  const { id } = await mainStore();
  await assert.rejects(deleteBackupStore(cloud.deps, cloud.administrator, id), { code: 'InUse' });
  const deleteAll = async () => {
    const { items } = await listBackups(cloud.deps.db, cloud.operator, {});
    for (const { id: backup } of items) {
      const deleted = await deleteBackup(cloud.deps, cloud.operator, backup).catch(() => undefined);
      if (deleted) await cloud.succeeded(deleted.operationId);
    }
    return items.length === 0;
  };
  // What others rest on goes after them, in another round.
  await until('every backup is deleted', deleteAll, { timeoutMs: 90_000 });
  await cloud.succeeded((await checkBackupStore(cloud.deps, cloud.administrator, id, { readPercent: 0 })).operationId);
  await deleteBackupStore(cloud.deps, cloud.administrator, id);
});

// Backups: a full one, one that rests on it, what breaks the chain, and an instance that is made of one.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { BackupStoreAccess, DesiredBackup, DiskChain, FinishedBackup } from '@virga/contract/agent/backups';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import type { ContractTest } from './contract-test.ts';
import type { ContractWorld } from './contract-world.ts';

export const storeOf = ({ cloudId, folder }: ContractWorld): BackupStoreAccess => ({
  ...{ id: newId('backupStore'), cloudId, password: 'of the contract', limitBytesPerSecond: null },
  place: { kind: 'directory', path: join(folder, `store-${newId('backupStore')}`) },
});

export function desiredBackup(
  { cloudId }: ContractWorld,
  store: BackupStoreAccess,
  { id, uuid, domainName }: DesiredInstance,
  parent?: FinishedBackup,
): DesiredBackup {
  return {
    ...{ id: newId('backup'), cloudId, store, instance: { id, uuid, domainName }, full: false, freezes: false },
    ...{ leavesOut: [], kept: parent === undefined ? [] : [parent.id] },
    parent: parent === undefined ? null : { id: parent.id, disks: parent.disks },
    keepsake: { name: 'of the contract' },
  };
}

export const chainOf = (...backups: FinishedBackup[]): DiskChain => backups.map(({ disks: [root] }) => root!);

const code = (expected: string) => (error: unknown) => error instanceof VirgaError && error.code === expected;

export function backupContract(test: ContractTest): void {
  test('backups rest on each other, and an instance is made of one', async (world, t) => {
    const { agent, cloudId } = world;
    const store = storeOf(world);
    assert.deepEqual(await agent.openBackupStore(store), { created: true });
    assert.deepEqual(await agent.openBackupStore(store), { created: false });
    await assert.rejects(agent.openBackupStore({ ...store, password: 'wrong' }), code('BackupStoreUnavailable'));
    const desired = await world.launched(t);
    const first = desiredBackup(world, store, desired);
    const full = await agent.makeBackup(first);
    assert.deepEqual([full.fullReason, full.disks.length, full.disks[0]?.full], ['first', 1, true]);
    assert.deepEqual(await agent.makeBackup(first), full, 'asked again, it is the same one');
    await agent.endBackup({ ...first, made: true });
    const second = desiredBackup(world, store, desired, full);
    const incremental = await agent.makeBackup(second);
    assert.deepEqual([incremental.fullReason, incremental.disks[0]?.full], [null, false]);
    await agent.endBackup({ ...second, made: true });

    const id = newId('restore');
    const root = desired.rootDisk.id;
    const disks = [{ id: root, chain: chainOf(full, incremental) }];
    await agent.fetchRestore({ id, cloudId, store, disks, hidesBase: false });
    const restored = world.instance(t);
    await world.launched(t, {
      ...restored,
      rootDisk: { ...restored.rootDisk, imageId: null, restored: { id, disk: root } },
    });
    await assert.rejects(
      agent.applyInstance({
        ...world.instance(t),
        rootDisk: { ...restored.rootDisk, imageId: null, restored: { id, disk: root } },
      }),
      code('NotFound'),
      'it is taken once',
    );
    await agent.endRestore({ id, cloudId });

    const { found, incomplete } = await agent.findStoredBackups({ ...store, cloudId: 'of another' }, [full.id]);
    const stored = { cloudId, parentId: full.id, made: incremental, keepsake: second.keepsake };
    assert.deepEqual([found, incomplete], [[stored], 0], 'it is found by who knows nothing of it');
    const known = [full, incremental].flatMap((backup) => [
      backup.settingsSnapshotId,
      ...backup.disks.map(({ snapshotId }) => snapshotId),
    ]);
    const listed = await agent.listStoreSnapshots(store);
    assert.deepEqual(listed.map((snapshot) => snapshot.id).sort(), known.sort());
    assert.equal((await agent.readBackupSettings(store, full.settingsSnapshotId)).desired.id, desired.id);
    assert.equal((await agent.checkBackupStore(store, { readPercent: 100 })).snapshots, known.length);
    await agent.removeStoreSnapshots(store, known);
    assert.deepEqual(await agent.listStoreSnapshots(store), []);
    await assert.rejects(agent.fetchRestore({ id, cloudId, store, disks, hidesBase: false }));
    await agent.endRestore({ id, cloudId });
  });

  test('a chain is merged, and put in the place of the disk of an instance that is off, and taken back', async (world, t) => {
    const { agent, cloudId } = world;
    const store = storeOf(world);
    await agent.openBackupStore(store);
    const desired = await world.launched(t);
    const first = desiredBackup(world, store, desired);
    const full = await agent.makeBackup(first);
    const second = desiredBackup(world, store, desired, full);
    const incremental = await agent.makeBackup(second);
    for (const backup of [first, second]) await agent.endBackup({ ...backup, made: true });
    const [root] = incremental.disks;
    assert.ok(root);
    const merged = await agent.mergeBackup({
      ...{ id: second.id, cloudId, store, settingsSnapshotId: incremental.settingsSnapshotId },
      disks: [{ ...root, chain: chainOf(full, incremental) }],
    });
    assert.deepEqual([merged.disks.length, merged.disks[0]?.full, merged.disks[0]?.id], [1, true, root.id]);
    await agent.endBackup({ ...second, made: true });
    const { found } = await agent.findStoredBackups(store, [full.id]);
    const made = { ...incremental, ...merged, fullReason: 'synthetic' };
    assert.deepEqual(
      found,
      [{ cloudId, parentId: null, made, keepsake: second.keepsake }],
      'it says so in the store too',
    );

    const restore = { id: newId('restore'), cloudId, instance: desired };
    const disks = [{ id: root.id, role: 'root' as const, fetched: root.id }];
    const fetch = { ...restore, store, disks: [{ id: root.id, chain: merged.disks }], hidesBase: true };
    await agent.fetchRestore(fetch);
    await assert.rejects(agent.checkSwap({ ...restore, disks }), code('Conflict'), 'it is on');
    await assert.rejects(agent.swapDisks({ ...restore, disks }), code('Conflict'), 'it is on');
    const stopped = { ...desired, power: { state: 'stopped' as const, forceAt: new Date(0).toISOString() } };
    await world.converge({ ...stopped, generation: 2 }, 'stopped');
    const raw = { id: newId('volume'), cloudId, generation: 1, name: 'raw', sizeBytes: 1024 * 1024, keepsake: {} };
    await agent.applyVolume({ ...raw, format: 'raw', mustExist: false });
    const data = { id: raw.id, role: 'data' as const, fetched: raw.id };
    await assert.rejects(
      agent.checkSwap({ ...restore, disks: [...disks, data] }),
      /is raw, and what is fetched is qcow2/,
    );
    await agent.deleteVolume(raw);
    await agent.checkSwap({ ...restore, disks });
    await agent.swapDisks({ ...restore, disks });
    await agent.swapDisks({ ...restore, disks });
    await agent.applyInstance({ ...desired, generation: 3 });
    await world.booted(desired, 2);
    await world.converge({ ...stopped, generation: 4 }, 'stopped');
    await agent.swapDisksBack({ ...restore, disks });
    await agent.swapDisksBack({ ...restore, disks });
    await agent.endRestore(restore);
    await agent.applyInstance({ ...desired, generation: 5 });
    await world.booted(desired, 3);
  });

  test('what there is no domain of is not backed up, and a backup that is given up leaves nothing on the host', async (world, t) => {
    const { agent } = world;
    const store = storeOf(world);
    await agent.openBackupStore(store);
    await assert.rejects(agent.makeBackup(desiredBackup(world, store, world.instance(t))), code('NotFound'));
    const desired = await world.launched(t);
    const given = desiredBackup(world, store, desired);
    world.onStep(given.id, (step) => {
      if (step === 'backup-store') throw new Error('cut short');
    });
    await assert.rejects(agent.makeBackup(given), /cut short/);
    world.onStep(given.id, () => undefined);
    await agent.endBackup({ ...given, made: false });
    await agent.endBackup({ ...given, made: false });
    const next = desiredBackup(world, store, desired);
    assert.equal((await agent.makeBackup(next)).fullReason, 'first');
    await agent.endBackup({ ...next, made: true });
  });
}

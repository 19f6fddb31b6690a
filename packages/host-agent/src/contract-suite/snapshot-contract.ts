// Snapshots and clones: taken once, gone back to, deleted, and what is refused before anything changes.
import assert from 'node:assert/strict';
import { conforms } from '@virga/contract/agent/conforms';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { type DesiredClone, type DesiredSnapshot, ObservedSnapshot } from '@virga/contract/agent/snapshots';
import { ObservedVolume } from '@virga/contract/agent/volumes';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, isInstance, stopped } from './contract-world.ts';
import { aVolume } from './volume-contract.ts';

export const snapshotOf = (
  { id, uuid, domainName, cloudId }: DesiredInstance,
  changes: Partial<DesiredSnapshot> = {},
): DesiredSnapshot => ({
  id: newId('snapshot'),
  cloudId,
  name: 'before',
  instance: { id, uuid, domainName },
  memory: false,
  mustExist: false,
  keepsake: { of: 'ours' },
  ...changes,
});

export function snapshotContract(test: ContractTest): void {
  const listed = async (world: ContractWorld, { id }: DesiredSnapshot) =>
    (await world.agent.listSnapshots(world.cloudId)).find((snapshot) => snapshot.id === id);

  test('takes a snapshot of a guest that runs on, once, and tells it with its keepsake', async (world, t) => {
    const desired = await world.launched(t);
    const snapshot = snapshotOf(desired);
    const observed = await world.agent.applySnapshot(snapshot);
    assert.ok(conforms(ObservedSnapshot, observed), JSON.stringify(observed));
    const { usedBytes: _, takenAt: __, ...told } = observed;
    assert.deepEqual(told, {
      ...{ id: snapshot.id, cloudId: world.cloudId, name: 'before', instanceId: desired.id },
      ...{ consistency: 'crash', memory: false, machineState: [], clones: [], keepsake: { of: 'ours' }, intact: true },
      disks: [{ id: desired.rootDisk.id, target: 'vda', sizeBytes: desired.rootDisk.sizeBytes }],
    });
    assert.deepEqual(await world.agent.applySnapshot({ ...snapshot, mustExist: true }), observed);
    assert.deepEqual(await listed(world, snapshot), observed);
    assert.deepEqual(await world.agent.listSnapshots('another'), []);
    assert.equal((await world.observed(desired))?.state, 'running');
    await world.booted(desired, 1);
  });

  test('what a machine keeps beside its disks is in a snapshot of it', async (world, t) => {
    const desired = world.instance(t, { firmware: 'uefi', tpm: true });
    await world.agent.applyInstance(desired);
    const { machineState, intact } = await world.agent.applySnapshot(snapshotOf(desired));
    assert.deepEqual([machineState, intact], [['uefi-variables', 'tpm'], true]);
  });

  test('a snapshot that must be there and is not is refused, not taken anew', async (world, t) => {
    const desired = await world.launched(t);
    const snapshot = snapshotOf(desired, { mustExist: true });
    await rejectsWith('HypervisorRefused', world.agent.applySnapshot(snapshot));
    assert.equal(await listed(world, snapshot), undefined);
    await rejectsWith('NotFound', world.agent.applySnapshot(snapshotOf(world.instance(t))));
  });

  test('a snapshot is of all disks, and of one that is off too', async (world, t) => {
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    const volumes = [{ id: volume.id, target: 'vdc', readOnly: false }];
    const desired = await world.launched(t, world.instance(t, { volumes }));
    const off = stopped(desired, 0);
    await world.converge(off, 'stopped');
    const snapshot = snapshotOf(desired);
    const { consistency, disks } = await world.agent.applySnapshot(snapshot);
    assert.equal(consistency, 'off');
    assert.deepEqual(
      disks.map(({ id, target }) => [id, target]),
      [
        [desired.rootDisk.id, 'vda'],
        [volume.id, 'vdc'],
      ],
    );
    const kept = { id: snapshot.id, instanceId: desired.id, diskId: volume.id };
    const copy = aVolume(world, t, { sizeBytes: 512, snapshot: kept });
    let refused: Promise<void> | undefined;
    world.onStep(copy.id, async (step) => {
      if (step === 'volume-copy') refused ??= rejectsWith('InUse', world.agent.deleteSnapshot(snapshot));
      await refused;
    });
    const made = await world.agent.applyVolume(copy);
    await refused;
    assert.ok(conforms(ObservedVolume, made), JSON.stringify(made));
    assert.deepEqual([made.sizeBytes, made.snapshot, made.intact], [volume.sizeBytes, kept, true]);
    for (const other of [
      { ...kept, diskId: newId('volume') },
      { ...kept, id: newId('snapshot') },
    ]) {
      const nothing = aVolume(world, t, { snapshot: other });
      await rejectsWith('NotFound', world.agent.applyVolume(nothing));
      const seen = (await world.agent.listVolumes(world.cloudId)).map(({ id }) => id);
      assert.equal(seen.includes(nothing.id), false);
    }
    const without = { ...off, generation: off.generation + 1, volumes: [] };
    await world.agent.applyInstance({ ...without, power: { state: 'running' } });
    await world.converge(stopped({ ...without, generation: without.generation }, 0), 'stopped');
    await rejectsWith('Conflict', world.agent.revertSnapshot({ ...snapshot, token: newId('operation') }));
    await world.agent.deleteSnapshot(snapshot);
    assert.equal(await listed(world, snapshot), undefined);
    // What was made of it needs nothing of it.
    const later = { ...copy, generation: 2, mustExist: true, sizeBytes: 2 * volume.sizeBytes };
    assert.equal((await world.agent.applyVolume(later)).intact, true);
  });

  test('goes back to a snapshot once, and only while the guest is off', async (world, t) => {
    const desired = await world.launched(t);
    const snapshot = snapshotOf(desired);
    await world.agent.applySnapshot(snapshot);
    const revert = { ...snapshot, token: newId('operation') };
    await rejectsWith('Conflict', world.agent.revertSnapshot(revert));
    const off = stopped(desired, 0);
    await world.converge(off, 'stopped');
    await rejectsWith('NotFound', world.agent.revertSnapshot({ ...revert, id: newId('snapshot') }));
    await world.agent.revertSnapshot(revert);
    const on: DesiredInstance = { ...off, generation: off.generation + 1, power: { state: 'running' } };
    await world.agent.applyInstance(on);
    await world.booted(desired, 2);
    await world.agent.revertSnapshot(revert);
    assert.equal((await listed(world, snapshot))?.intact, true);
  });

  test('a guest goes on from the memory that a snapshot kept', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    const snapshot = snapshotOf(desired, { memory: true });
    const { consistency, memory } = await world.agent.applySnapshot(snapshot);
    assert.deepEqual([consistency, memory], ['memory', true]);
    // Nobody is told that it was paused, who would think that somebody wants it so.
    assert.equal(events.seen.some(isInstance(desired.id, { state: 'paused' })), false);
    await world.converge(stopped(desired, 0), 'stopped');
    await rejectsWith('Conflict', world.agent.applySnapshot(snapshotOf(desired, { memory: true })));
    await world.agent.revertSnapshot({ ...snapshot, token: newId('operation') });
    assert.equal((await world.observed(desired))?.state, 'running');
    await world.booted(desired, 1);
  });

  test('a hibernated guest has no snapshot taken, nor is it put back', async (world, t) => {
    const desired = await world.launched(t);
    const snapshot = snapshotOf(desired);
    await world.agent.applySnapshot(snapshot);
    await world.converge({ ...desired, generation: 2, power: { state: 'hibernated' } }, 'hibernated');
    await rejectsWith('Conflict', world.agent.applySnapshot(snapshotOf(desired)));
    await rejectsWith('Conflict', world.agent.revertSnapshot({ ...snapshot, token: newId('operation') }));
  });

  for (const kind of ['linked', 'full'] as const) {
    test(`a ${kind} clone becomes an instance of its own`, async (world, t) => {
      const desired = await world.launched(t);
      const snapshot = snapshotOf(desired);
      await world.agent.applySnapshot(snapshot);
      const imageId = kind === 'linked' ? desired.rootDisk.imageId : null;
      const copy = world.instance(t, { rootDisk: { ...desired.rootDisk, id: newId('volume'), imageId } });
      const { id, cloudId, uuid, domainName } = copy;
      const rootDiskId = copy.rootDisk.id;
      const clone: DesiredClone = { id, cloudId, uuid, domainName, rootDiskId, kind, snapshot };
      await world.agent.makeClone(clone);
      // It is no instance yet, of which somebody could think that it belongs to nobody.
      assert.equal(await world.observed(copy), undefined);
      await world.agent.makeClone(clone);
      await world.launched(t, copy);
      assert.deepEqual((await listed(world, snapshot))?.clones, kind === 'linked' ? [id] : []);
      if (kind === 'linked') {
        await rejectsWith('InUse', world.agent.deleteSnapshot(snapshot));
        await rejectsWith('InUse', world.agent.deleteInstance(desired));
        assert.equal((await world.observed(desired))?.state, 'running');
      }
      await world.agent.deleteInstance(copy);
      await world.agent.deleteSnapshot(snapshot);
      assert.equal(await listed(world, snapshot), undefined);
    });
  }

  test('a deletion that is cancelled leaves the snapshot whole, or gone where its merging has begun', async (world, t) => {
    const desired = await world.launched(t);
    const snapshot = snapshotOf(desired);
    const before = await world.agent.applySnapshot(snapshot);
    const cutAt = async (at: string) => {
      world.onStep(snapshot.id, (step) => {
        if (step === at) throw new Error('cut short');
      });
      await assert.rejects(world.agent.deleteSnapshot(snapshot), /cut short/);
      world.onStep(snapshot.id, () => undefined);
    };
    await cutAt('snapshot-forget');
    assert.deepEqual(await world.agent.cancelDeletion(snapshot), { kept: true });
    assert.deepEqual(await listed(world, snapshot), before);
    await cutAt('snapshot-end');
    assert.equal((await listed(world, snapshot))?.intact, false);
    for (const _ of ['once', 'again']) {
      assert.deepEqual(await world.agent.cancelDeletion(snapshot), { kept: false });
      assert.equal(await listed(world, snapshot), undefined);
    }
    await world.converge(stopped(desired), 'stopped');
  });

  test('snapshots go with their instance', async (world, t) => {
    const desired = await world.launched(t);
    const snapshot = snapshotOf(desired);
    await world.agent.applySnapshot(snapshot);
    await world.agent.deleteInstance(desired);
    assert.equal(await listed(world, snapshot), undefined);
    await world.agent.deleteSnapshot(snapshot);
  });
}

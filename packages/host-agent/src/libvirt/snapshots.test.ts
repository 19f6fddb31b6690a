// Snapshots on real domains, with what the disks hold compared to what was written: guests that run and guests that are off,
// deletions from every place, and what others do beside it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DesiredSnapshot } from '@virga/contract/agent/snapshots';
import { newId } from '@virga/contract/ids';
import { snapshotOf } from '../contract-suite/snapshot-contract.ts';
import { runCommand } from '../run-command.ts';
import { activeFile } from './disks/disk-layers.ts';
import { machine, mebibyte, stopped } from './testing/blank-machine.ts';
import { readPattern, writeInGuest } from './testing/disk-patterns.ts';
import { openTestHost, type TestHost } from './testing/test-host.ts';

async function open(t: TestContext): Promise<TestHost> {
  const host = await openTestHost(71);
  t.after(() => host.close());
  return host;
}

const rootOf = (host: TestHost, { id }: DesiredInstance): string =>
  join(host.storagePath, 'instances', id, 'root.qcow2');
const contentOf = async (host: TestHost, desired: DesiredInstance, blocks = 3): Promise<number[]> =>
  readPattern(await activeFile(rootOf(host, desired)), blocks);
const layersOf = async (host: TestHost, { id }: DesiredInstance): Promise<string[]> =>
  (await readdir(join(host.storagePath, 'instances', id))).filter((name) => /^root\..*qcow2$/.test(name));

test('a running guest goes on in a new file, and the snapshot holds what was there', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const desired = machine(host);
  await agent.applyInstance(desired);
  await writeInGuest(outside, desired.domainName, [1, 1, 1]);
  const snapshot = snapshotOf(desired);
  const observed = await agent.applySnapshot(snapshot);
  assert.deepEqual(
    [observed.consistency, observed.intact, observed.disks],
    ['crash', true, [{ id: desired.rootDisk.id, target: 'vda', sizeBytes: 8 * mebibyte }]],
  );
  await writeInGuest(outside, desired.domainName, [2]);
  assert.deepEqual(await contentOf(host, desired), [2, 1, 1]);
  assert.deepEqual(await readPattern(rootOf(host, desired), 3), [1, 1, 1]);
  // Asked again it is the same one, and libvirt knows of none that would hinder it.
  assert.deepEqual(await agent.applySnapshot({ ...snapshot, mustExist: true }), observed);
  assert.deepEqual(await outside.domains.listSnapshots(await outside.domains.lookupByName(desired.domainName)), []);
  // The change of files is nobody else's change of the definition.
  const applied = await agent.applyInstance({ ...desired, generation: 2 });
  assert.equal(applied.drift, undefined);

  await agent.applyInstance(stopped({ ...desired, generation: 2 }));
  const revert = { ...snapshot, token: newId('operation') };
  await agent.revertSnapshot(revert);
  assert.deepEqual(await contentOf(host, desired), [1, 1, 1]);
  assert.equal((await layersOf(host, desired)).length, 2);
  await agent.applyInstance({ ...desired, generation: 4 });
  await writeInGuest(outside, desired.domainName, [3]);
  // One that was done is not done again, also while the guest runs.
  await agent.revertSnapshot(revert);
  assert.deepEqual(await contentOf(host, desired), [3, 1, 1]);

  await agent.deleteSnapshot(snapshot);
  assert.deepEqual(await contentOf(host, desired), [3, 1, 1]);
  assert.deepEqual(await layersOf(host, desired), ['root.qcow2']);
  assert.deepEqual(await agent.listSnapshots(host.cloudId), []);
  await writeInGuest(outside, desired.domainName, [4], { from: 1 });
  assert.deepEqual(await contentOf(host, desired), [3, 4, 1]);
});

test('snapshots are deleted from every place of a chain, while the guest runs and while it is off', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  for (const isOff of [false, true]) {
    for (const first of [0, 1, 2]) {
      const desired = machine(host);
      await agent.applyInstance(desired);
      const snapshots: DesiredSnapshot[] = [];
      for (const byte of [1, 2, 3]) {
        await writeInGuest(outside, desired.domainName, [byte], { from: byte });
        const snapshot = snapshotOf(desired);
        await agent.applySnapshot(snapshot);
        snapshots.push(snapshot);
      }
      await writeInGuest(outside, desired.domainName, [4], { from: 4 });
      if (isOff) await agent.applyInstance(stopped(desired));
      const order = [...snapshots.slice(first), ...snapshots.slice(0, first)];
      for (const snapshot of order) {
        await agent.deleteSnapshot(snapshot);
        assert.deepEqual(await contentOf(host, desired, 5), [0, 1, 2, 3, 4], `${isOff} ${first}`);
      }
      assert.deepEqual(await layersOf(host, desired), ['root.qcow2']);
      // What libvirt would start it from is what there is.
      const xml = await outside.domains.xml(await outside.domains.lookupByName(desired.domainName), { inactive: true });
      assert.doesNotMatch(xml, /root\.[0-9a-f]{17}/);
      await agent.deleteInstance(desired);
    }
  }
});

test('a merge that is left off leaves the disk whole, while the guest runs and while it is off', async (t) => {
  let cutAt: string | undefined;
  const host = await openTestHost(71, {
    hook: (step) => {
      if (step === cutAt) throw new Error('cut short');
    },
  });
  t.after(() => host.close());
  const { agent, outside } = host;
  for (const at of ['merge-pivot', 'merge-files', 'merge-lists']) {
    const isOff = at === 'merge-files';
    const desired = machine(host);
    await agent.applyInstance(desired);
    await writeInGuest(outside, desired.domainName, [1, 1]);
    const [one, two] = [snapshotOf(desired), snapshotOf(desired)];
    await agent.applySnapshot(one);
    await writeInGuest(outside, desired.domainName, [2]);
    if (isOff) await agent.applyInstance(stopped(desired));
    cutAt = at;
    await assert.rejects(agent.deleteSnapshot(one), /cut short/);
    cutAt = undefined;
    assert.deepEqual(await agent.cancelDeletion(one), { kept: false }, at);
    assert.deepEqual(await agent.listSnapshots(host.cloudId), []);
    const ref = await outside.domains.lookupByName(desired.domainName);
    if (isOff) await agent.applyInstance({ ...desired, generation: 3 });
    else assert.equal(await outside.domains.blockJobInfo(ref, 'vda'), undefined);
    assert.deepEqual(await contentOf(host, desired), [2, 1, 0], at);
    // What was left is merged with the next one.
    assert.equal((await layersOf(host, desired)).length, at === 'merge-lists' ? 1 : 2);
    await agent.applySnapshot(two);
    await writeInGuest(outside, desired.domainName, [3], { from: 2 });
    await agent.deleteSnapshot(two);
    assert.deepEqual(await contentOf(host, desired), [2, 1, 3], at);
    assert.deepEqual(await layersOf(host, desired), ['root.qcow2']);
    await agent.deleteInstance(desired);
  }
});

test('after a revert the later snapshot is a branch of its own, and either can be gone back to', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const desired = machine(host);
  await agent.applyInstance(desired);
  let generation = 1;
  const on = async () => agent.applyInstance({ ...desired, generation: ++generation });
  const off = async () => {
    await agent.applyInstance({ ...stopped(desired), generation: ++generation });
  };
  const [one, two] = [snapshotOf(desired), snapshotOf(desired)];
  await writeInGuest(outside, desired.domainName, [1, 1]);
  await agent.applySnapshot(one);
  await writeInGuest(outside, desired.domainName, [2]);
  await agent.applySnapshot(two);
  await writeInGuest(outside, desired.domainName, [3], { from: 1 });
  await off();
  await agent.revertSnapshot({ ...one, token: newId('operation') });
  assert.deepEqual(await contentOf(host, desired, 2), [1, 1]);
  await on();
  await writeInGuest(outside, desired.domainName, [4]);
  // Two files rest on what the first one kept, so that stays where it is until one of them goes.
  await agent.deleteSnapshot(one);
  assert.deepEqual(await contentOf(host, desired, 2), [4, 1]);
  assert.equal((await layersOf(host, desired)).length, 3);
  await off();
  await agent.revertSnapshot({ ...two, token: newId('operation') });
  assert.deepEqual(await contentOf(host, desired, 2), [2, 1]);
  await on();
  await agent.deleteSnapshot(two);
  assert.deepEqual(await contentOf(host, desired, 2), [2, 1]);
  assert.deepEqual(await layersOf(host, desired), ['root.qcow2']);
});

test('memory goes on with its disks also when what they were in then has been merged', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const desired = machine(host);
  await agent.applyInstance(desired);
  await writeInGuest(outside, desired.domainName, [1, 1]);
  const [one, two] = [snapshotOf(desired), snapshotOf(desired, { memory: true })];
  await agent.applySnapshot(one);
  await agent.applySnapshot(two);
  await writeInGuest(outside, desired.domainName, [2]);
  await agent.deleteSnapshot(one);
  await agent.applyInstance(stopped(desired));
  await agent.revertSnapshot({ ...two, token: newId('operation') });
  assert.deepEqual(await contentOf(host, desired, 2), [1, 1]);
  await writeInGuest(outside, desired.domainName, [3], { from: 1 });
  assert.deepEqual(await contentOf(host, desired, 2), [1, 3]);
});

test('the image that disks rest on is never merged into, nor what clones rest on', async (t) => {
  const host = await open(t);
  const { agent, outside, cloudId } = host;
  const path = join(host.storagePath, 'source.raw');
  await writeFile(path, Buffer.alloc(8 * mebibyte, 9));
  const imageId = newId('image');
  await agent.importImage({ id: imageId, cloudId, generation: 1, source: { kind: 'file', path }, format: 'raw' });
  const volume = { cloudId, generation: 1, name: 'data', sizeBytes: 8 * mebibyte, mustExist: false, keepsake: {} };
  const data = { ...volume, id: newId('volume'), source: { imageId, clone: 'linked' as const } };
  await agent.applyVolume(data);
  const base = machine(host, { volumes: [{ id: data.id, target: 'vdc', readOnly: false }] });
  const desired = { ...base, rootDisk: { ...base.rootDisk, imageId } };
  await agent.applyInstance(desired);
  await writeInGuest(outside, desired.domainName, [1]);
  await writeInGuest(outside, desired.domainName, [3], { from: 2, device: `ua-${data.id}` });
  const snapshots = [snapshotOf(desired), snapshotOf(desired)];
  for (const snapshot of snapshots) await agent.applySnapshot(snapshot);
  const names = { id: newId('instance'), uuid: randomUUID(), domainName: `${desired.domainName}c` };
  const clone = { ...desired, ...names, volumes: [] };
  const [first, second] = snapshots;
  const { id, uuid, domainName } = clone;
  await agent.makeClone({
    id,
    cloudId,
    uuid,
    domainName,
    rootDiskId: newId('volume'),
    kind: 'linked',
    snapshot: second!,
  });
  await agent.applyInstance(clone);
  await writeInGuest(outside, domainName, [5], { from: 1 });
  await writeInGuest(outside, desired.domainName, [2], { from: 2 });
  assert.deepEqual(await contentOf(host, clone), [1, 5, 9]);
  const ofClone = snapshotOf(clone);
  await agent.applySnapshot(ofClone);
  for (const [kept, instanceId, diskId, content] of [
    [second!.id, desired.id, desired.rootDisk.id, [1, 9, 9]],
    [second!.id, desired.id, data.id, [9, 9, 3]],
    [ofClone.id, clone.id, clone.rootDisk.id, [1, 5, 9]],
  ] as const) {
    const copy = { ...volume, id: newId('volume'), snapshot: { id: kept, instanceId, diskId } };
    await agent.applyVolume(copy);
    assert.deepEqual(await readPattern(join(host.storagePath, 'volumes', copy.id, 'disk.qcow2'), 3), content);
  }
  await agent.deleteSnapshot(ofClone);
  // The clone rests on files of this one too.
  await agent.deleteSnapshot(first!);
  assert.equal((await layersOf(host, desired)).length, 3);
  await assert.rejects(agent.deleteSnapshot(second!), { code: 'InUse' });
  assert.deepEqual(await contentOf(host, clone), [1, 5, 9]);
  await agent.deleteInstance(clone);
  await agent.deleteSnapshot(second!);
  assert.deepEqual(await contentOf(host, desired), [1, 9, 2]);
  assert.deepEqual(await layersOf(host, desired), ['root.qcow2']);
  const stored = join(host.storagePath, 'images', imageId, 'image');
  assert.ok(
    (await readFile(stored)).every((byte) => byte === 9),
    'the image is as it was',
  );
});

test('volumes are part of it: at the same moment, also raw ones, and after they went to another instance', async (t) => {
  const host = await open(t);
  const { agent, outside, cloudId } = host;
  const volumes = (['qcow2', 'raw'] as const).map((format) => ({
    ...{ id: newId('volume'), cloudId, generation: 1, name: format, format },
    ...{ sizeBytes: 8 * mebibyte, mustExist: false, keepsake: {} },
  }));
  for (const volume of volumes) await agent.applyVolume(volume);
  const attached = volumes.map(({ id }, index) => ({ id, target: `vd${'cd'[index]}`, readOnly: false }));
  const desired = machine(host, { volumes: attached });
  await agent.applyInstance(desired);
  const write = (byte: number, index: number, name = desired.domainName) =>
    writeInGuest(outside, name, [byte], { device: `ua-${volumes[index]!.id}` });
  const read = async (index: number) => {
    const { id, format } = volumes[index]!;
    return (await readPattern(await activeFile(join(host.storagePath, 'volumes', id, `disk.${format}`)), 1))[0];
  };
  for (const index of [0, 1]) await write(1, index);
  const snapshot = snapshotOf(desired);
  assert.equal((await agent.applySnapshot(snapshot)).disks.length, 3);
  for (const index of [0, 1]) await write(2, index);
  const later = snapshotOf(desired);
  await agent.applySnapshot(later);
  for (const index of [0, 1]) await write(3, index);
  // What is made of a disk while the guest runs on and later snapshots lie on it, of another format, and larger.
  const copyOf = async (kept: DesiredSnapshot, index: number, format: 'qcow2' | 'raw') => {
    const disk = { id: kept.id, instanceId: desired.id, diskId: volumes[index]!.id };
    const copy = { ...volumes[0]!, id: newId('volume'), format, sizeBytes: 12 * mebibyte, snapshot: disk };
    assert.equal((await agent.applyVolume(copy)).sizeBytes, 12 * mebibyte);
    const file = join(host.storagePath, 'volumes', copy.id, `disk.${format}`);
    assert.doesNotMatch(await runCommand('qemu-img', ['info', file]), /backing/);
    return (await readPattern(file, 1))[0];
  };
  for (const format of ['qcow2', 'raw'] as const) {
    for (const index of [0, 1]) {
      assert.deepEqual([await copyOf(snapshot, index, format), await copyOf(later, index, format)], [1, 2], format);
    }
  }
  await agent.deleteSnapshot(later);
  assert.deepEqual([await read(0), await read(1)], [3, 3]);
  assert.equal(
    (await agent.listVolumes(cloudId)).every(({ intact }) => intact),
    true,
  );
  await agent.applyInstance(stopped(desired));
  const token = newId('operation');
  await agent.revertSnapshot({ ...snapshot, token });
  assert.deepEqual([await read(0), await read(1)], [1, 1]);
  // One of them goes elsewhere, and what was kept of it is merged there.
  const other = machine(host, { volumes: [attached[1]!] });
  await agent.applyInstance({ ...desired, generation: 3, volumes: [attached[0]!] });
  await agent.applyInstance(other);
  await write(7, 1, other.domainName);
  await agent.deleteSnapshot(snapshot);
  assert.deepEqual([await read(0), await read(1)], [1, 7]);
  const names = await readdir(join(host.storagePath, 'volumes', volumes[1]!.id));
  assert.deepEqual(names.filter((name) => name.startsWith('disk.')).sort(), ['disk.raw', 'disk.raw.layers.json']);
});

test('what somebody did with virsh beside it is refused, not mixed up', async (t) => {
  const host = await open(t);
  const { agent, outside } = host;
  const desired = machine(host);
  await agent.applyInstance(desired);
  const { domains } = outside;
  const ref = await domains.lookupByName(desired.domainName);
  // Checkpoints of backups, which libvirt takes no snapshot beside, are dropped.
  const checkpoint =
    "<domaincheckpoint><name>virga-one</name><disks><disk name='vda' checkpoint='bitmap'/></disks></domaincheckpoint>";
  await domains.checkpointCreateXml(ref, checkpoint.replace('</disks>', "<disk name='vdb' checkpoint='no'/></disks>"));
  const snapshot = snapshotOf(desired);
  await agent.applySnapshot(snapshot);
  assert.deepEqual(await domains.listCheckpoints(ref), []);
  const theirs = join(host.storagePath, 'instances', desired.id, 'root.theirs');
  await domains.snapshotCreateXml(
    ref,
    `<domainsnapshot><disks><disk name='vda'><source file='${theirs}'/></disk><disk name='vdb' snapshot='no'/></disks></domainsnapshot>`,
    { noMetadata: true, diskOnly: true },
  );
  await assert.rejects(agent.applySnapshot(snapshotOf(desired)), { code: 'Conflict', detail: /root\.theirs/ });
  const applied = await agent.applyInstance({ ...desired, generation: 2 });
  assert.ok(applied.drift, 'a guest that writes elsewhere is a change that matters');
});

// Snapshots on real domains, with what the disks hold compared to what was written: guests that run and guests that are off,
// deletions from every place, and what others do beside it.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DesiredSnapshot } from '@virga/contract/agent/snapshots';
import { newId } from '@virga/contract/ids';
import { activeFile } from './disks/disk-layers.ts';
import { readPattern, writeInGuest } from './testing/disk-patterns.ts';
import { openTestHost, type TestHost } from './testing/test-host.ts';

const mebibyte = 1024 * 1024;

async function open(t: TestContext): Promise<TestHost> {
  const host = await openTestHost(71);
  t.after(() => host.close());
  return host;
}

/** A machine with empty disks. */
function machine(host: TestHost, changes: Partial<DesiredInstance> = {}): DesiredInstance {
  const base = host.instance(host.network(), newId('image'), { nics: [], ...changes });
  return { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes: 8 * mebibyte } };
}

const stopped = (desired: DesiredInstance): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  power: { state: 'stopped', forceAt: new Date(0).toISOString() },
});

const snapshotOf = (
  { id, uuid, domainName, cloudId }: DesiredInstance,
  changes: Partial<DesiredSnapshot> = {},
): DesiredSnapshot => ({
  id: newId('snapshot'),
  cloudId,
  name: 'before',
  instance: { id, uuid, domainName },
  memory: false,
  mustExist: false,
  keepsake: {},
  ...changes,
});

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
    ['crash', true, [{ id: desired.rootDisk.id, sizeBytes: 8 * mebibyte }]],
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

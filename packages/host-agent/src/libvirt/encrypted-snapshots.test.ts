// Snapshots of encrypted volumes on real domains: each file of such a disk is encrypted with its key, nothing of what a guest writes
// is on the host without it, and what the disk holds is right after each change of its files.
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredSnapshot } from '@virga/contract/agent/snapshots';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { newId } from '@virga/contract/ids';
import { snapshotOf } from '../contract-suite/snapshot-contract.ts';
import { runCommand } from '../run-command.ts';
import { pathsFrom, pathsOf, readTree } from './disks/disk-layers.ts';
import { machine, mebibyte, stopped } from './testing/blank-machine.ts';
import { readEncrypted, readPattern, writeInGuest } from './testing/disk-patterns.ts';
import { openTestHost, type TestHost } from './testing/test-host.ts';

const passphrase = 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGtub3dz';
let host: TestHost;
before(async () => {
  host = await openTestHost(124);
});
after(() => host.close());

const encryptedVolume = (changes: Partial<DesiredVolume> = {}): DesiredVolume => ({
  ...{ id: newId('volume'), cloudId: host.cloudId, generation: 1, name: 'secrets', passphrase },
  ...{ sizeBytes: 8 * mebibyte, mustExist: false, keepsake: {} },
  ...changes,
});
const folderOf = ({ id }: DesiredVolume): string => join(host.storagePath, 'volumes', id);
const firstFileOf = (volume: DesiredVolume): string => join(folderOf(volume), 'disk.qcow2');
/** @param layers of a snapshot; undefined: as it is now */
async function contentOf(volume: DesiredVolume, key = passphrase, layers?: readonly string[]): Promise<number[]> {
  const file = firstFileOf(volume);
  return readEncrypted(layers ? pathsFrom(file, layers) : await pathsOf(file), key, 4);
}

/** What tests write; of such bytes no file may have a sector. */
const written = [0xa1, 0xa2, 0xa3, 0xa4, 0xa5] as const;

/** No file of the volume has a sector of what was written, and each says that it is encrypted. */
async function requireNoPlaintext(volume: DesiredVolume, files: number): Promise<void> {
  const names = (await readdir(folderOf(volume))).filter((name) => name.endsWith('.qcow2'));
  assert.equal(names.length, files);
  for (const name of names) {
    const path = join(folderOf(volume), name);
    const content = await readFile(path);
    for (const byte of written) assert.equal(content.indexOf(Buffer.alloc(64, byte)), -1, `${byte} is in ${name}`);
    // `encryption method` of the header.
    assert.equal(content.readUInt32BE(32), 2, name);
    assert.equal((await stat(path)).mode & 0o077, 0, name);
  }
}

/** QEMU measures for two seconds of a processor how fast it derives keys, for each file that it makes. */
const timeout = 600_000;

test('files of an encrypted volume are made, merged and copied with its key, and hold nothing in the clear', {
  timeout,
}, async () => {
  const { agent, outside } = host;
  const volume = encryptedVolume();
  await agent.applyVolume(volume);
  const desired = machine(host, { volumes: [{ id: volume.id, target: 'vdc', readOnly: false }] });
  await agent.applyInstance(desired);
  const write = (byte: number, from: number) =>
    writeInGuest(outside, desired.domainName, [byte], { from, device: `ua-${volume.id}` });
  const [a, b, c, d, e] = written;
  const [one, two] = [snapshotOf(desired), snapshotOf(desired, { memory: true })];
  const kept = async ({ id }: DesiredSnapshot) =>
    contentOf(volume, passphrase, (await readTree(firstFileOf(volume))).snapshots[id]);
  await write(a, 0);
  await agent.applySnapshot(one);
  await write(b, 1);
  await agent.applySnapshot(two);
  await write(c, 2);
  assert.deepEqual(
    [await contentOf(volume), await kept(one), await kept(two)],
    [
      [a, b, c, 0],
      [a, 0, 0, 0],
      [a, b, 0, 0],
    ],
  );
  await requireNoPlaintext(volume, 3);
  const grown = { ...volume, generation: 2, mustExist: true, sizeBytes: 12 * mebibyte };
  assert.equal((await agent.applyVolume(grown)).sizeBytes, 12 * mebibyte, 'it grows while the guest has it');
  assert.equal((await agent.applyInstance(stopped(desired))).drift, undefined);

  // As after a restart: nothing is begun before the key is there.
  const fresh = await host.openAgent();
  const own = 'of this copy alone';
  const disk = { id: two.id, instanceId: desired.id, diskId: volume.id };
  const copy = encryptedVolume({ snapshot: disk, passphrase: own, sizeBytes: 10 * mebibyte });
  const before = await readdir(folderOf(volume));
  for (const ask of [
    () => fresh.applySnapshot(snapshotOf(desired)),
    () => fresh.revertSnapshot({ ...two, token: newId('operation') }),
    () => fresh.applyVolume(copy),
  ]) {
    await assert.rejects(ask, { code: 'NotFound', detail: new RegExp(`no passphrase of the volume ${volume.id}`) });
  }
  assert.deepEqual(await readdir(folderOf(volume)), before);
  const larger = { ...grown, generation: 3, sizeBytes: 16 * mebibyte };
  assert.equal((await fresh.applyVolume(larger)).sizeBytes, 16 * mebibyte, 'it grows while the guest is off');
  assert.equal((await fresh.applyVolume(copy)).encrypted, true);
  assert.deepEqual(await contentOf(copy, own), [a, b, 0, 0]);
  await requireNoPlaintext(copy, 1);
  const { passphrase: _, ...plain } = encryptedVolume({ snapshot: { ...disk, id: one.id }, format: 'raw' });
  assert.equal((await agent.applyVolume(plain)).encrypted, undefined);
  assert.deepEqual(await readPattern(join(folderOf(plain), 'disk.raw'), 4), [a, 0, 0, 0]);

  // With its memory the guest goes on from there.
  await agent.revertSnapshot({ ...two, token: newId('operation') });
  await write(d, 3);
  assert.deepEqual(await contentOf(volume), [a, b, 0, d]);
  // What is below is merged without the guest, what it writes to with it.
  await agent.applyInstance({ ...stopped(desired), generation: 3 });
  await agent.deleteSnapshot(one);
  assert.deepEqual(
    [await contentOf(volume), await kept(two)],
    [
      [a, b, 0, d],
      [a, b, 0, 0],
    ],
  );
  await requireNoPlaintext(volume, 2);
  assert.equal((await agent.applyInstance({ ...desired, generation: 4 })).drift, undefined);
  await write(e, 1);
  await agent.deleteSnapshot(two);
  assert.deepEqual(await contentOf(volume), [a, e, 0, d]);
  await requireNoPlaintext(volume, 1);
  await agent.deleteInstance(desired);
  const told = await runCommand('grep', ['-rlF', passphrase, host.storagePath, '/var/log/libvirt']).catch(() => '');
  assert.equal(told, '', 'no file has the passphrase');
});

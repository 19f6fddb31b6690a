// A guest that writes while the storage of its host is full: QEMU stops it, and it goes on, with what it wrote, once there is
// room, and not before.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import { eventually } from '../contract-suite/eventually.ts';
import { runCommand } from '../run-command.ts';
import { storageSpace } from './storage.ts';
import { openTestHost, type TestHost } from './testing/test-host.ts';
import { writingGuestDisk } from './testing/writing-guest.ts';

let host: TestHost;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-full-storage.'));
  await runCommand('mount', ['-t', 'tmpfs', '-o', 'size=128m,mode=711', 'tmpfs', folder]);
  host = await openTestHost(66, { storagePath: join(folder, 'storage') });
});
after(async () => {
  await host?.close();
  await runCommand('umount', ['-l', folder]);
  await rm(folder, { recursive: true });
});

test('a guest that the full storage stopped is left so until there is room, and then goes on', async (t) => {
  const { agent, cloudId } = host;
  const path = join(host.storagePath, 'writing.raw');
  await writeFile(path, writingGuestDisk());
  const imageId = newId('image');
  await agent.importImage({ id: imageId, cloudId, generation: 1, source: { kind: 'file', path }, format: 'raw' });
  const network = host.network();
  await agent.applyNetwork(network);
  const desired = host.instance(network, imageId);
  await agent.applyInstance(desired);
  const console = await agent.openConsole(desired.id);
  t.after(() => console.destroy());
  let said = '';
  console.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  const log = async () => (await agent.consoleLog(desired.id, 1024)).bytes.toString('latin1');
  await eventually('the guest is ready', async () => ((await log()).includes('R') ? true : undefined));

  const ballast = join(folder, 'ballast');
  await writeFile(ballast, '');
  const { freeBytes } = await storageSpace({ path: folder });
  await runCommand('fallocate', ['--length', String(freeBytes), ballast]);
  console.write('x');
  const observed = () => agent.listInstances(cloudId).then(([it]) => it);
  await eventually('it stands still', async () => ((await observed())?.state === 'paused' ? true : undefined));
  assert.equal((await observed())?.reason, 'storage-full');
  const left = await agent.applyInstance(desired);
  assert.deepEqual([left.state, left.reason], ['paused', 'storage-full']);
  assert.ok(!said.includes('W'));

  await rm(ballast);
  assert.equal((await agent.applyInstance(desired)).state, 'running');
  await eventually('it has written', () => (said.includes('W') ? true : undefined));
  assert.ok(!said.includes('E'));
});

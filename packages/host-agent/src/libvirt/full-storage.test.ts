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

/** Boots, and from then on writes a sector, where the image has none, for each byte that it gets on its serial port. */
const writingGuest = fromListing(`
  fa 31c0 8ed8 8ec0 8ed0    ;        cli / xor ax,ax / ds, es, ss = 0
  bc007c fb                 ;        mov sp,0x7c00 / sti
  b052 baf803 ee            ;        say R: ready
  f4                        ; wait:  hlt
  bafd03 ec a801 74f7       ;        in al,0x3fd / test al,1 / jz wait
  baf803 ec                 ;        in al,0x3f8
  b80043 b280 be3a7c cd13   ;        ax 0x4300: write / drive 0x80 / si = what / int 0x13
  b057 7302 b045            ;        say W: written, or E: error
  baf803 ee                 ;        out 0x3f8,al
  ebdd                      ;        jmp wait
`);
const whatOffset = 0x3a;
/** One sector from 0:0x7c00 to sector 0x10000, which is 32 MiB into the disk. */
const what = Buffer.from('10000100007c00000000010000000000', 'hex');

function fromListing(listing: string): Buffer {
  const code = listing.split('\n').map((line) => line.split(';')[0]?.replaceAll(' ', ''));
  return Buffer.from(code.join(''), 'hex');
}

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
  const disk = Buffer.alloc(1024 * 1024);
  writingGuest.copy(disk);
  what.copy(disk, whatOffset);
  disk.writeUInt16BE(0x55aa, 510);
  const path = join(host.storagePath, 'writing.raw');
  await writeFile(path, disk);
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

// What an incremental backup reads and stores of what a guest has written, beside what a full one reads and stores of the same disk a
// moment later, in the same run. Data that cannot be compressed, written in blocks of 64 KiB at random places, which is the worst that
// a bitmap of such blocks can be asked to keep apart.
//
// usage: script/node --conditions=development bench/backup.ts [TURNS, default 3]
import { randomBytes } from 'node:crypto';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FinishedBackup } from '@virga/contract/agent/backups';
import { BackupWorld, directoryStore } from '@virga/host-agent/libvirt/backups/testing/backup-world';
import { openTestHost } from '@virga/host-agent/libvirt/testing/test-host';
import { startHypervisor } from '@virga/testing/hypervisor';
import { figure, spread, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';

const turns = Number(process.argv[2] ?? 3);
const mib = 1024 * 1024;
const blockBytes = 64 * 1024;
const contentBytes = 256 * mib;
const writtenMib = [1, 8, 32];

type Measured = { writtenBytes: number; readBytes: number; storedBytes: number; seconds: number };

async function bytesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function main(): Promise<void> {
  const hypervisor = await startHypervisor();
  const host = await openTestHost(215);
  const store = directoryStore(host, join(host.storagePath, 'store'));
  await host.agent.openBackupStore(store);
  const world = await BackupWorld.open(host, store, 1024 * mib);
  await host.agent.applyInstance(world.instance);
  const source = join(host.storagePath, 'random');
  const write = async (offset: number, length: number) => {
    await writeFile(source, randomBytes(length), { mode: 0o644 });
    await world.writeFrom(source, offset, length);
  };
  const measure = async (writtenBytes: number, full: boolean): Promise<Measured> => {
    const before = await bytesIn(join(host.storagePath, 'store'));
    const startedMs = performance.now();
    const desired = world.desired({ full });
    const backup: FinishedBackup = await host.agent.makeBackup(desired);
    await host.agent.endBackup({ ...desired, made: true });
    world.made.push({ backup, content: Buffer.alloc(0) });
    const { disks } = backup;
    return {
      writtenBytes,
      readBytes: disks.reduce((sum, { dataBytes }) => sum + dataBytes, 0),
      seconds: (performance.now() - startedMs) / 1000,
      storedBytes: (await bytesIn(join(host.storagePath, 'store'))) - before,
    };
  };
  try {
    for (let offset = 0; offset < contentBytes; offset += 16 * mib) await write(offset, 16 * mib);
    const rows = [row('first', [await measure(contentBytes, true)])];
    for (const size of writtenMib) {
      const measured: Measured[] = [];
      const repeated: Measured[] = [];
      for (let turn = 0; turn < turns; turn++) {
        const places = new Set<number>();
        while (places.size < (size * mib) / blockBytes) {
          places.add(Math.floor((Math.random() * contentBytes) / blockBytes) * blockBytes);
        }
        for (const place of places) await write(place, blockBytes);
        measured.push(await measure(size * mib, false));
        repeated.push(await measure(size * mib, true));
      }
      rows.push(row(`incremental, ${size} MiB written`, measured), row('full, right after it', repeated));
    }
    const header = ['backup', 'read MiB', 'read over written', 'store grows MiB', 'seconds'];
    console.log(table(header, rows));
  } finally {
    await world.close();
    await host.close();
    await hypervisor.close();
  }
}

function row(name: string, measured: readonly Measured[]): string[] {
  const median = (of: (one: Measured) => number) => spread(measured.map(of)).median;
  return [
    name,
    figure(median(({ readBytes }) => readBytes / mib)),
    `${figure(median(({ readBytes, writtenBytes }) => readBytes / writtenBytes))} x`,
    figure(median(({ storedBytes }) => storedBytes / mib)),
    figure(median(({ seconds }) => seconds)),
  ];
}

if (inNamespaces(import.meta.filename)) await main();

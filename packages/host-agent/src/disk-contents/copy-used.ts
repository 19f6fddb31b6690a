// A copy of a disk without what its file systems no longer use: what was removed from them, by sealing or long before, cannot be
// read in the copy. Owns which parts are copied how; made of what is used, the copy is also smaller.
import { chmod, truncate, writeFile } from 'node:fs/promises';
import type { DiskLayout } from './disk-layout.ts';
import { extFileSystems } from './ext-contents.ts';
import type { RawDisk } from './raw-disk.ts';

const everybody = 0o666;
const bootBytes = 1024;
/** Of the rest there is no more than what was in the memory of a machine. */
const swapTypes: readonly string[] = ['swap', 'swsuspend'];
const swapHeaderBytes = 4096;
/** Disks may be large, and storage slow. */
const timeoutMs = 3_600_000;

/** @param to a raw file that is made; its folder can be crossed by everybody */
export async function copyUsed(disk: RawDisk, { parts }: DiskLayout, to: string, sizeBytes: number): Promise<void> {
  await writeFile(to, '');
  await chmod(to, everybody);
  const kept = parts
    .map(({ fileSystem, offsetBytes, sizeBytes: size }) => ({
      ...{ type: fileSystem ?? '', from: offsetBytes, until: offsetBytes + (size ?? sizeBytes) },
    }))
    .filter(({ type }) => extFileSystems.includes(type) || swapTypes.includes(type))
    .sort((one, other) => one.from - other.from);
  for (const { type, from } of kept) {
    if (swapTypes.includes(type)) {
      await copyRange(disk, to, from, swapHeaderBytes);
      continue;
    }
    // -a: with the data of files.
    await disk.run('e2image', ['-r', '-a', '-o', String(from), '-O', String(from), disk.path, to], { timeoutMs });
    // Before the superblock: no block of the file system, and where a boot loader may be.
    await copyRange(disk, to, from, bootBytes);
  }
  // It ends its file with the last block that is used.
  await truncate(to, sizeBytes);
  let at = 0;
  for (const { from, until } of [...kept, { from: sizeBytes, until: sizeBytes }]) {
    if (from > at) await copyRange(disk, to, at, from - at);
    at = until;
  }
}

async function copyRange(disk: RawDisk, to: string, offset: number, bytes: number): Promise<void> {
  const args = [`if=${disk.path}`, `of=${to}`, 'bs=1M', `skip=${offset}`, `seek=${offset}`, `count=${bytes}`];
  const flags = ['iflag=skip_bytes,count_bytes,fullblock', 'oflag=seek_bytes', 'conv=notrunc,sparse', 'status=none'];
  await disk.run('dd', [...args, ...flags], { timeoutMs });
}

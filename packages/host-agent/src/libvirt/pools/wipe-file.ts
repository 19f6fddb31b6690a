// Overwrites what is written of a file with zeroes, in place, and gives its blocks back. Only what the file has blocks for: to
// write into holes would take space that was never used. On a file system that writes elsewhere than where it was, or a
// device that does, what was there before may still be somewhere: see docs/operate/storage-pools.md.
import { open, stat } from 'node:fs/promises';
import { runCommand } from '../../run-command.ts';
import type { DiskWork } from './pool-driver.ts';

type Extent = { start: number; length: number; present: boolean; data: boolean };

const chunkBytes = 4 * 1024 * 1024;

export async function wipeFile(path: string, { signal, onProgress }: DiskWork): Promise<void> {
  const { size } = await stat(path);
  if (size === 0) return;
  // As a raw file: QEMU asks the file system where there is data.
  const map = ['map', '--output=json', '-f', 'raw', path];
  const extents = JSON.parse(await runCommand('qemu-img', map, { signal, package: 'qemu-utils' })) as Extent[];
  const written = extents.filter(({ data }) => data);
  const totalBytes = written.reduce((sum, { length }) => sum + length, 0);
  let doneBytes = 0;
  await using file = await open(path, 'r+');
  const zeroes = Buffer.alloc(chunkBytes);
  for (const { start, length } of written) {
    for (let at = start; at < start + length; at += chunkBytes) {
      signal?.throwIfAborted();
      const bytes = Math.min(chunkBytes, start + length - at, size - at);
      if (bytes > 0) await file.write(zeroes, 0, bytes, at);
      doneBytes += bytes;
      onProgress?.(Math.floor((100 * doneBytes) / totalBytes));
    }
  }
  await file.sync();
  // What lies below is told that the blocks are free, where it can be told. A file system that cannot keeps them as zeroes.
  const punch = ['--punch-hole', '--offset', '0', '--length', String(size), path];
  await runCommand('fallocate', punch, { signal }).catch(() => undefined);
}

// Overwrites what is written of an image of Ceph with zeroes, through Ceph, which keeps no older content of it for anyone to
// read. Where the OSDs write that on their devices is theirs: what was there before may stay until it is used again.
import { once } from 'node:events';
import { CommandFailed } from '../../run-command.ts';
import { startOwned } from '../backups/owned-process.ts';
import type { DiskWork } from './pool-driver.ts';

export type WrittenExtent = { offset: number; length: number };

const program = 'qemu-io';
const chunkBytes = 4 * 1024 * 1024;

/** @param options open the image as it is @throws CommandFailed */
export async function wipeExtents(
  options: string,
  extents: readonly WrittenExtent[],
  { signal, onProgress }: DiskWork,
): Promise<void> {
  const writes = extents.flatMap(({ offset, length }) =>
    Array.from({ length: Math.ceil(length / chunkBytes) }, (_, index) => {
      const at = index * chunkBytes;
      return `write -P 0 ${offset + at} ${Math.min(chunkBytes, length - at)}\n`;
    }),
  );
  if (writes.length === 0) return;
  const child = startOwned(program, ['--image-opts', options], {
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
    package: 'qemu-utils',
  });
  let said = '';
  let done = 0;
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    // It says so of each, and ends well whatever has come of them.
    const lines = (said + text).split('\n');
    said = lines.pop()!;
    done += lines.filter((line) => /wrote \d+\/\d+ bytes/.test(line)).length;
    onProgress?.(Math.floor((100 * done) / writes.length));
  });
  child.stdin!.on('error', () => undefined);
  child.stdin!.end(`${writes.join('')}flush\n`);
  const read = once(child.stdout!, 'end');
  await child.ended;
  await read;
  if (done < writes.length)
    throw new CommandFailed(program, 0, `${done} of ${writes.length} writes were done`, undefined);
}

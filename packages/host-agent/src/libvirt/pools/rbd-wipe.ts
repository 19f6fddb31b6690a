// Overwrites what is written of an image of Ceph with zeroes, through Ceph, which keeps no older content of it for anyone to
// read. Where the OSDs write that on their devices is theirs: what was there before may stay until it is used again.
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CommandFailed } from '../../run-command.ts';
import { startOwned } from '../backups/owned-process.ts';
import type { DiskWork } from './pool-driver.ts';
import type { Extent } from './rbd-extents.ts';

const program = 'qemu-io';
const chunkBytes = 4 * 1024 * 1024;

/** @param options open the image as it is @throws CommandFailed */
export async function wipeExtents(
  options: string,
  extents: readonly Extent[],
  { signal, onProgress }: DiskWork,
): Promise<void> {
  const all = extents.reduce((sum, { length }) => sum + Math.ceil(length / chunkBytes), 0);
  const stdio = ['pipe' as const, 'pipe' as const, 'pipe' as const];
  const child = startOwned(program, ['--image-opts', options], { stdio, signal, package: 'qemu-utils' });
  // One that has ended early says so by its end.
  const told = pipeline(Readable.from(commandsFor(extents)), child.stdin!).catch(() => undefined);
  let done = 0;
  for await (const line of createInterface({ input: child.stdout! })) {
    // It says so of each, and ends well whatever has come of them.
    if (!/wrote \d+\/\d+ bytes/.test(line)) continue;
    done += 1;
    onProgress?.(Math.floor((100 * done) / all));
  }
  await child.ended;
  await told;
  if (done < all) throw new CommandFailed(program, 0, `${done} of ${all} writes were done`, undefined);
}

function* commandsFor(extents: readonly Extent[]): Generator<string> {
  for (const { offset, length } of extents) {
    for (let at = 0; at < length; at += chunkBytes) {
      yield `write -P 0 ${offset + at} ${Math.min(chunkBytes, length - at)}\n`;
    }
  }
  yield 'flush\n';
}

// Which parts of a disk file have anything in them, as qemu-img tells. Pure but for asking it.
import { type DiskFile, withImage } from './open-disk.ts';
import { startOwned } from './owned-process.ts';

/** `zero`: it is empty now, and may not have been before. */
export type Extent = { offset: number; length: number; zero: boolean };

type MapEntry = { start: number; length: number; zero: boolean; data: boolean; present?: boolean };

const maxMapBytes = 512 * 1024 * 1024;

/**
 * @param changes the file has only what has changed: what it says of being empty is told too, and what it is silent about is as
 *   it was. Otherwise only what is not empty is told.
 */
export async function mapDisk(
  disk: DiskFile,
  {
    changes,
    signal,
    passphrase,
  }: { changes: boolean; signal?: AbortSignal | undefined; passphrase?: string | undefined },
): Promise<Extent[]> {
  return extentsOf(await withImage(disk, passphrase, (image) => askMap(image, disk.path, signal)), changes);
}

async function askMap(image: readonly string[], path: string, signal: AbortSignal | undefined): Promise<MapEntry[]> {
  const command = startOwned('qemu-img', ['map', '--output=json', ...image], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    package: 'qemu-utils',
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of command.stdout!) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxMapBytes) {
      const tooLarge = new RangeError(`the map of ${path} is too large`);
      command.giveUp(tooLarge);
      throw tooLarge;
    }
    chunks.push(chunk as Buffer);
  }
  await command.ended;
  return JSON.parse(Buffer.concat(chunks).toString()) as MapEntry[];
}

export function extentsOf(map: readonly MapEntry[], changes: boolean): Extent[] {
  const extents: Extent[] = [];
  for (const { start, length, zero, data, present = true } of map) {
    const isEmpty = zero || !data;
    if (isEmpty && !(changes && present)) continue;
    const last = extents.at(-1);
    if (last !== undefined && last.zero === isEmpty && last.offset + last.length === start) last.length += length;
    else extents.push({ offset: start, length, zero: isEmpty });
  }
  return extents;
}

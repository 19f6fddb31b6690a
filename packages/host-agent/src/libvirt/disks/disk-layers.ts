// The files that a disk consists of: the first one, made with the disk, and one more for each snapshot of it that is kept,
// which what is written since goes to. They lie in the folder of the disk, with a list of them as soon as there are several.
// Owns the list; who makes or merges a file writes it before and after, because where the guest writes depends on it.
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeFileDurably } from '../../durable-file.ts';
import type { DiskSource } from './disk-source.ts';

/** Names in the folder of the disk, all qcow2, from the one that rests on the image, or on nothing, to the one that is written. */
export type DiskLayers = readonly [first: string, ...string[]];

const listMode = 0o644;
const listPath = (firstFile: string): string => `${firstFile}.layers.json`;

/** @param firstFile path of the file that the disk was made as */
export async function readLayers(firstFile: string): Promise<DiskLayers> {
  try {
    return JSON.parse(await readFile(listPath(firstFile), 'utf8')) as DiskLayers;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [basename(firstFile)];
    throw error;
  }
}

export const writeLayers = (firstFile: string, layers: DiskLayers): Promise<void> =>
  writeFileDurably(listPath(firstFile), `${JSON.stringify(layers)}\n`, listMode);

/** @param base what the first file rests on */
export async function layeredSource(firstFile: string, base?: DiskSource | undefined): Promise<DiskSource> {
  const [, ...later] = await readLayers(firstFile);
  const first: DiskSource = { path: firstFile, format: 'qcow2', base };
  return later.reduce<DiskSource>(
    (below, name) => ({ path: join(firstFile, '..', name), format: 'qcow2', base: below }),
    first,
  );
}

/** The file that a guest writes to. */
export const activeFile = async (firstFile: string): Promise<string> =>
  join(firstFile, '..', (await readLayers(firstFile)).at(-1)!);

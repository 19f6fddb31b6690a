// The files that a disk consists of: the first one, made with the disk, and one more for each snapshot of it that is kept,
// which what is written since goes to. They lie in the folder of the disk, with a list of them as soon as there are several.
// Owns the list; who makes or merges a file writes it before and after, because where the guest writes depends on it. What a
// snapshot froze is a list too: after a revert they part ways, and what stands in none of them is of no use any more.
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { SnapshotId } from '@virga/contract/ids';
import { writeFileDurably } from '../../durable-file.ts';
import type { DiskSource } from './disk-source.ts';

/** Names in the folder of the disk, all qcow2 but for the first, from the one that rests on the image, or on nothing, to the one that is written. */
export type DiskLayers = readonly [first: string, ...string[]];

const listMode = 0o644;
const listPath = (firstFile: string): string => `${firstFile}.layers.json`;

/** All that there is of a disk. */
export type DiskTree = {
  /** What the guest has; it writes to the last one. */
  current: DiskLayers;
  /** What each snapshot keeps; nothing writes to any of it. */
  snapshots: Readonly<Record<SnapshotId, DiskLayers>>;
};

/** @param firstFile path of the file that the disk was made as */
export async function readTree(firstFile: string): Promise<DiskTree> {
  try {
    const read = JSON.parse(await readFile(listPath(firstFile), 'utf8')) as DiskTree | DiskLayers;
    return 'current' in read ? read : { current: read, snapshots: {} };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { current: [basename(firstFile)], snapshots: {} };
    throw error;
  }
}

export const writeTree = (firstFile: string, tree: DiskTree): Promise<void> =>
  writeFileDurably(listPath(firstFile), `${JSON.stringify(tree)}\n`, listMode);

/** @param firstFile as of {@link readTree} */
export const readLayers = async (firstFile: string): Promise<DiskLayers> => (await readTree(firstFile)).current;

export const writeLayers = async (firstFile: string, current: DiskLayers): Promise<void> =>
  writeTree(firstFile, { ...(await readTree(firstFile)), current });

/** The first file says by its name what it is. */
export const formatOfFile = (firstFile: string): DiskSource['format'] => (firstFile.endsWith('.raw') ? 'raw' : 'qcow2');

/**
 * @param base what the first file rests on
 * @param encryption of each of its files
 */
export async function layeredSource(
  firstFile: string,
  base?: DiskSource | undefined,
  encryption?: DiskSource['encryption'],
): Promise<DiskSource> {
  return sourceOfLayers(firstFile, await readLayers(firstFile), base, encryption);
}

/** The same of layers that are not the current ones. */
export function sourceOfLayers(
  firstFile: string,
  [, ...later]: DiskLayers,
  base?: DiskSource | undefined,
  encryption?: DiskSource['encryption'],
): DiskSource {
  const first: DiskSource = {
    path: firstFile,
    format: formatOfFile(firstFile),
    ...(encryption && { encryption }),
    base,
  };
  return later.reduce<DiskSource>(
    (below, name) => ({
      ...{ path: join(firstFile, '..', name), format: 'qcow2', base: below },
      ...(encryption && { encryption }),
    }),
    first,
  );
}

/** All files of a disk, that which a guest writes to first. */
export const pathsOf = async (firstFile: string): Promise<[string, ...string[]]> =>
  pathsFrom(firstFile, await readLayers(firstFile));

/** The same of layers that are not the current ones. */
export const pathsFrom = (firstFile: string, layers: readonly string[]): [string, ...string[]] =>
  layers.map((name) => join(firstFile, '..', name)).toReversed() as [string, ...string[]];

/** The file that a guest writes to. */
export const activeFile = async (firstFile: string): Promise<string> => (await pathsOf(firstFile))[0];

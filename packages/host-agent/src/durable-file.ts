// Files that are either whole or not there, also after a power cut: written under a temporary name, flushed, renamed. The
// temporary name is derived from the final one, so what a crash leaves behind is found and overwritten.
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KeyedLock } from './keyed-lock.ts';

/** Where a file is made before it gets its name. */
export const partialPath = (path: string): string => `${path}.partial`;

/** They would write under one temporary name. */
const writers = new KeyedLock();

/** Writes a whole file. Writers of the same file in this process take turns; the last one's content stays. */
export function writeFileDurably(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  return writers.run(path, () => writeWhole(path, content, mode));
}

async function writeWhole(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const partial = partialPath(path);
  await rm(partial, { force: true });
  const file = await open(partial, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
}

/** What was written as JSON; undefined: there is no such file. */
export async function readJsonFile<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Gives a file that was made at `partialPath(path)` its name, with these rights. */
export async function finishFile(path: string, mode: number): Promise<void> {
  const file = await open(partialPath(path), 'r');
  try {
    await file.chmod(mode);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(partialPath(path), path);
}

/** Makes the names in a folder durable. */
export async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes the name of a file or folder durable. */
export const flushName = (path: string): Promise<void> => flushFolder(dirname(path));

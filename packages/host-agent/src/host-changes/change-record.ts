// Where the record of host changes is kept. Owns writing it so that it outlives a power cut; what is in it is not its business.
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { flushName, writeFileDurably } from '../durable-file.ts';

export type ChangeRecord = {
  /** For errors and the log. */
  name: string;
  /** Undefined: nothing was written yet. */
  read(): Promise<string | undefined>;
  /** Durable when it returns; whole or not at all. */
  write(text: string): Promise<void>;
};

export const recordFile = (path: string): ChangeRecord => ({
  name: path,
  read: () =>
    readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    }),
  async write(text) {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await writeFileDurably(path, text, 0o644);
    await flushName(path);
  },
});

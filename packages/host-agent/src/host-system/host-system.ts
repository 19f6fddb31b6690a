// The host's own files and programs, as what looks after a host sees them. Owns the root that absolute paths are taken from,
// so that tests can show the tree of another kind of host. Reading what is not there answers undefined; writing fails as
// the kernel says.

import { constants } from 'node:fs';
import { chmod, chown, lstat, mkdir, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { flushFolder, writeFileDurably } from '../durable-file.ts';
import { type CommandOptions, runCommand } from '../run-command.ts';

export type FileAccess = { uid: number; gid: number /** permission bits, such as 0o660 */; mode: number };

export interface HostSystem {
  /** The text of a file as it is; undefined when there is none or the kernel does not let it be read. */
  read(path: string): Promise<string | undefined>;
  /** Names in a folder, sorted; empty when there is none. */
  list(path: string): Promise<string[]>;
  exists(path: string): Promise<boolean>;
  /** Where a symbolic link leads, as it stands there. */
  link(path: string): Promise<string | undefined>;
  access(path: string): Promise<FileAccess | undefined>;
  /** Writes into a file of the kernel, such as of sysfs. @throws ErrnoException as the kernel refuses it */
  writeValue(path: string, value: string): Promise<void>;
  /** Makes a file of this content, whole or not at all also after a power cut; null removes it. Folders are made. */
  replaceFile(path: string, content: string | null): Promise<void>;
  setAccess(path: string, access: FileAccess): Promise<void>;
  /** Runs a program. @throws CommandFailed | HostUnavailable it is not installed */
  run(program: string, args: readonly string[], options?: CommandOptions): Promise<string>;
}

export const realHostSystem: HostSystem = hostSystemAt('/', runCommand);

/** A host whose files lie under `root`, and whose programs are what `run` does. */
export function hostSystemAt(root: string, run: HostSystem['run']): HostSystem {
  const at = (path: string): string => join(root, path);
  return {
    read: (path) => readFile(at(path), 'utf8').catch(nothing),
    list: (path) =>
      readdir(at(path)).then(
        (names) => names.sort(),
        () => [],
      ),
    exists: (path) =>
      lstat(at(path)).then(
        () => true,
        () => false,
      ),
    link: (path) => readlink(at(path)).catch(nothing),
    access: (path) => stat(at(path)).then(({ uid, gid, mode }) => ({ uid, gid, mode: mode & 0o7777 }), nothing),
    writeValue: (path, value) => writeFile(at(path), value, { flag: openExisting }),
    async replaceFile(path, content) {
      const folder = dirname(at(path));
      if (content === null) {
        await rm(at(path), { force: true });
        await flushFolder(folder).catch(nothing);
        return;
      }
      await mkdir(folder, { recursive: true });
      const before = await stat(at(path)).catch(nothing);
      await writeFileDurably(at(path), content, (before?.mode ?? 0o644) & 0o7777);
      await flushFolder(folder);
    },
    async setAccess(path, { uid, gid, mode }) {
      await chown(at(path), uid, gid);
      await chmod(at(path), mode);
    },
    run,
  };
}

/** A kernel's file is never made, and a file in its place is replaced whole. */
const openExisting = constants.O_WRONLY | constants.O_TRUNC;

const nothing = (): undefined => undefined;

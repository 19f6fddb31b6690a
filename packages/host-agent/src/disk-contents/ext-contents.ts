// The contents of an ext2, ext3 or ext4 file system, by debugfs of e2fsprogs in the sandbox. Folders and files are read by their
// inodes, so that names that a guest has chosen are never part of a command that reads. Fails with CommandFailed.
import { rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path/posix';
import { CommandFailed } from '../run-command.ts';
import type { Entry, EntryKind, NewFile } from './disk-contents.ts';
import type { RawDisk } from './raw-disk.ts';
import { type Place, WalkedContents } from './walked-contents.ts';

/** File systems that can be read. */
export const extFileSystems: readonly string[] = ['ext2', 'ext3', 'ext4'];
const rootInode = 2;
/** Deeper than any folder of an honest guest; a folder that is in itself has no end. */
const deepest = 100;
/** By the first digits of a mode, as in stat(2). */
const kinds: Record<number, EntryKind> = { 8: 'file', 4: 'folder', 10: 'link' };
/** A name that can stand in a command as it is, between quotes. */
const plainName = /^[\x20-\x21\x23-\x7e]+$/;
const root: Entry = { name: '/', kind: 'folder', inode: rootInode, mode: 0o755, uid: 0, gid: 0, sizeBytes: 0 };

export type ExtOptions = {
  fileSystem: string;
  offsetBytes: number;
  /** What is written gets this time; default now. Seconds since 1970. */
  epochSeconds?: number | undefined;
};

export class ExtContents extends WalkedContents {
  readonly fileSystem: string;
  private readonly disk: RawDisk;
  private readonly device: string;
  private readonly env: Record<string, string>;
  private scripts = 0;

  constructor(disk: RawDisk, { fileSystem, offsetBytes, epochSeconds }: ExtOptions) {
    super(root);
    this.disk = disk;
    this.fileSystem = fileSystem;
    this.device = `${disk.path}?offset=${offsetBytes}`;
    const time = String(epochSeconds);
    this.env = epochSeconds === undefined ? {} : { E2FSPROGS_FAKE_TIME: time, E2FSCK_TIME: time };
  }

  async write(path: string, content: string | Buffer, { mode, uid = 0, gid = 0 }: NewFile): Promise<void> {
    const place = await this.placeFor(path);
    const source = join(this.disk.scratch, 'content');
    await writeFile(source, content, { mode: 0o644 });
    const old = await this.linkStat(place);
    await this.change([
      ...(old ? [`rm "${place}"`] : []),
      `write "${source}" "${place}"`,
      ...setOwner(place, 0o100000 | mode, uid, gid),
    ]);
    await rm(source);
  }

  async link(path: string, target: string): Promise<void> {
    const place = await this.placeFor(path);
    requirePlain(target);
    const old = await this.linkStat(place);
    await this.change([...(old ? [`rm "${place}"`] : []), `symlink "${place}" "${target}"`]);
  }

  async remove(path: string): Promise<void> {
    const found = await this.walk(path, false);
    if (found === undefined) return;
    requirePlain(found.path);
    const commands: string[] = [];
    await this.removal(found.path, found.entry, commands);
    await this.change(commands);
  }

  /** True when it was not unmounted: the last changes are in its journal. */
  async needsRecovery(): Promise<boolean> {
    return /^Filesystem features:.*\bneeds_recovery\b/m.test((await this.ask('show_super_stats -h')).toString());
  }

  /** Also mends what can be mended. */
  async recover(): Promise<void> {
    this.forget();
    const mended = 1;
    await this.disk.run('e2fsck', ['-f', '-p', this.device], { env: this.env, acceptedCodes: [0, mended] });
  }

  settle(): Promise<void> {
    return this.recover();
  }

  private async removal(path: string, entry: Entry, commands: string[], depth = 0): Promise<void> {
    if (depth > deepest) throw new CommandFailed('debugfs', null, `${path} is too deep`, undefined);
    if (entry.kind !== 'folder') {
      commands.push(`rm "${path}"`);
      return;
    }
    for (const inner of await this.entriesOf({ path, entry })) {
      const innerPath = join(path, inner.name);
      requirePlain(innerPath);
      await this.removal(innerPath, inner, commands, depth + 1);
    }
    commands.push(`rmdir "${path}"`);
  }

  /** The path without links, whose folders have been made. */
  private async placeFor(path: string): Promise<string> {
    requirePlain(path);
    const folder = dirname(path);
    let parent = await this.walk(folder, true);
    if (parent === undefined) {
      const place = await this.placeFor(folder);
      await this.change([`mkdir "${place}"`, ...setOwner(place, 0o40755, 0, 0)]);
      parent = await this.walk(place, true);
    }
    return join(parent?.path ?? folder, basename(path));
  }

  protected async readFolder({ entry: { inode } }: Place): Promise<Entry[]> {
    const lines = (await this.ask(`ls -p <${inode}>`)).toString().split('\n');
    return lines.map(readEntry).filter((entry) => entry !== undefined);
  }

  protected async readTarget({ entry: { inode, sizeBytes } }: Place): Promise<string> {
    // Short ones are kept in the inode itself.
    const fast = /^Fast link dest: "(.*)"$/m.exec((await this.ask(`stat <${inode}>`)).toString())?.[1];
    return fast ?? (await this.ask(`cat <${inode}>`)).subarray(0, sizeBytes).toString();
  }

  protected async readFile({ entry: { inode, sizeBytes } }: Place, bytes: number): Promise<Buffer> {
    if (sizeBytes <= bytes) return this.ask(`cat <${inode}>`);
    const program = `debugfs -R "cat <$2>" "$1" | head --bytes="$3"`;
    return this.disk.run('sh', ['-c', program, 'sh', this.device, String(inode), String(bytes)]);
  }

  private ask(request: string): Promise<Buffer> {
    return this.disk.run('debugfs', ['-R', request, this.device]);
  }

  private async change(commands: readonly string[]): Promise<void> {
    if (commands.length === 0) return;
    const script = join(this.disk.scratch, `commands-${++this.scripts}`);
    await writeFile(script, `${commands.join('\n')}\n`, { mode: 0o644 });
    this.forget();
    await this.disk.run('debugfs', ['-w', '-f', script, this.device], { env: this.env });
    await rm(script);
  }
}

const setOwner = (path: string, mode: number, uid: number, gid: number): string[] => [
  `set_inode_field "${path}" mode 0${mode.toString(8)}`,
  `set_inode_field "${path}" uid ${uid}`,
  `set_inode_field "${path}" gid ${gid}`,
];

/** @see e2fsprogs, debugfs/ls.c: `/inode/mode/uid/gid/name/size/` */
function readEntry(line: string): Entry | undefined {
  const match = /^\/(\d+)\/([0-7]+)\/(\d+)\/(\d+)\/([^/]+)\/(\d*)\/$/.exec(line);
  if (match === null) return undefined;
  const [, inode, mode = '', uid, gid, name = '', size] = match;
  if (name === '.' || name === '..' || inode === '0') return undefined;
  const bits = Number.parseInt(mode, 8);
  const kind = kinds[bits >> 12] ?? 'other';
  return {
    ...{ name, kind, inode: Number(inode), mode: bits & 0o7777, uid: Number(uid), gid: Number(gid) },
    sizeBytes: kind === 'file' || kind === 'link' ? Number(size) : 0,
  };
}

function requirePlain(path: string): void {
  if (plainName.test(path)) return;
  throw new CommandFailed('debugfs', null, `the name ${JSON.stringify(path)} cannot be written down for it`, undefined);
}

// The contents of a disk through the appliance: whatever its kernel can mount (XFS, Btrfs with subvolumes, LVM), as one system, with
// what fstab names below the root. Owns how it is mounted: read-only, until something is written. Fails with ImageUnusable.
import { VirgaError } from '@virga/contract/errors';
import { CommandFailed } from '../run-command.ts';
import type { Appliance } from './appliance.ts';
import type { Entry, EntryKind, NewFile } from './disk-contents.ts';
import { type Place, WalkedContents } from './walked-contents.ts';

const root: Entry = { name: '/', kind: 'folder', inode: 0, mode: 0o755, uid: 0, gid: 0, sizeBytes: 0 };
/** By the first digits of a mode, as in stat(2). */
const kinds: Record<number, EntryKind> = { 8: 'file', 4: 'folder', 10: 'link' };
const noSystem = 3;

export class SystemContents extends WalkedContents {
  readonly fileSystem: string;
  private readonly appliance: Appliance;
  private isDirty: boolean;
  private isWritable = false;

  private constructor(appliance: Appliance, [fileSystem, state]: [string, string]) {
    super(root);
    this.appliance = appliance;
    this.fileSystem = fileSystem;
    this.isDirty = state === 'dirty';
  }

  /** @returns the types of file systems that were found, when none is the root of a Linux */
  static async open(appliance: Appliance): Promise<SystemContents | string[]> {
    try {
      const [fileSystem = '', state = ''] = words((await appliance.run('mount-system ro')).toString());
      return new SystemContents(appliance, [fileSystem, state]);
    } catch (error) {
      if (error instanceof CommandFailed && error.exitCode === noSystem)
        return error.stdout.split('\n').filter(Boolean);
      throw error;
    }
  }

  async write(path: string, content: string | Buffer, { mode, uid = 0, gid = 0 }: NewFile): Promise<void> {
    const put = `put file ${mode.toString(8)} ${uid}:${gid} ${await this.placeFor(path)}`;
    await this.change(`base64 -d <<'end' | ${put}\n${Buffer.from(content).toString('base64')}\nend`);
  }

  async link(path: string, target: string): Promise<void> {
    await this.change(`put link ${quoted(target)} ${await this.placeFor(path)}`);
  }

  async remove(path: string): Promise<void> {
    const found = await this.walk(path, false);
    if (found !== undefined) await this.change(`rm -rf ${inSystem(found.path)}`);
  }

  async needsRecovery(): Promise<boolean> {
    return this.isDirty;
  }

  recover(): Promise<void> {
    return this.beWritable();
  }

  /** What is free is given back too. */
  async settle(): Promise<void> {
    await this.beWritable();
    this.forget();
    await this.ask('mount-system settled');
    this.isWritable = false;
  }

  protected async readFolder({ path }: Place): Promise<Entry[]> {
    const output = await this.ask(`entries ${inSystem(path)}`);
    const end = output[0] === newline ? 0 : output.indexOf('\n\n') + 1;
    const names = output
      .subarray(end + 1)
      .toString()
      .split('\0');
    const lines = output.subarray(0, end).toString().split('\n');
    return lines.slice(0, -1).map((line, at) => readEntry(line, names[at] ?? ''));
  }

  protected async readTarget({ path }: Place): Promise<string> {
    return (await this.ask(`readlink -n ${inSystem(path)}`)).toString();
  }

  protected readFile({ path }: Place, maxBytes: number): Promise<Buffer> {
    return this.ask(`head -c ${maxBytes} ${inSystem(path)}`);
  }

  /** The path without links, as far as there is something. */
  private async placeFor(path: string): Promise<string> {
    const missing: string[] = [];
    const names = path.split('/').filter(Boolean);
    missing.unshift(names.pop() ?? '');
    for (;;) {
      const parent = await this.walk(`/${names.join('/')}`, true);
      if (parent !== undefined) return inSystem([parent.path === '/' ? '' : parent.path, ...missing].join('/'));
      missing.unshift(names.pop()!);
    }
  }

  private async change(script: string): Promise<void> {
    await this.beWritable();
    this.forget();
    await this.ask(script);
  }

  /** @throws ImageUnusable it is damaged | CommandFailed the appliance has ended */
  private async ask(script: string): Promise<Buffer> {
    try {
      return await this.appliance.run(script);
    } catch (error) {
      throw error instanceof CommandFailed && error.exitCode !== null ? damaged(this.fileSystem, error) : error;
    }
  }

  private async beWritable(): Promise<void> {
    if (this.isWritable) return;
    await this.ask('mount-system rw');
    this.isWritable = true;
    this.isDirty = false;
  }
}

/** A script that fails, fails because of what is on the disk. */
function damaged(fileSystem: string, cause: CommandFailed): VirgaError {
  const why = cause.stderr.trim().split('\n').at(-1) || 'its file systems cannot be mounted';
  return new VirgaError('ImageUnusable', {
    detail: `What is on the disk cannot be read or changed (${fileSystem}): ${why}`,
    action: 'Start a machine of it and mend the file system there, or take another disk.',
    cause,
  });
}

const newline = 10;

function readEntry(line: string, name: string): Entry {
  const [inode, mode = '', uid, gid, size] = line.split(' ');
  const bits = Number.parseInt(mode, 16);
  const kind = kinds[bits >> 12] ?? 'other';
  return {
    ...{
      name: name.slice('./'.length),
      kind,
      inode: Number(inode),
      mode: bits & 0o7777,
      uid: Number(uid),
      gid: Number(gid),
    },
    sizeBytes: kind === 'file' || kind === 'link' ? Number(size) : 0,
  };
}

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean);
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const inSystem = (path: string): string => quoted(`/sysroot${path}`);

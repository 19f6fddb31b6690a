// A folder of the host that volumes lie in, its own storage among them, or one that several hosts have mounted. A mark in it
// says which pool it is: a folder without is another one, such as the place where it would be mounted. QEMU locks each file
// that it writes, also over NFS, so that two never write one; what else is done to a file asks for the same lock.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredPool, PoolAbilities } from '@virga/contract/agent/pools';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import { flushFolder, writeFileDurably } from '../../durable-file.ts';
import { activeFile, layeredSource, pathsOf } from '../disks/disk-layers.ts';
import type { DiskSource } from '../disks/disk-source.ts';
import { virtualSizeOf } from '../disks/layer-file.ts';
import { probeDirectIo, requireSpace, type Storage, type StorageSpace, storageSpace } from '../storage.ts';
import { volumeSecretUuid } from '../volumes/volume-secret.ts';
import { escaped, growFile, isOpenToWrite, makeDiskFile, openedWith, reflink } from './disk-files.ts';
import { type DiskWork, keyId, type NewDisk, type PoolDriver, type PresentDisk } from './pool-driver.ts';
import { wipeFile } from './wipe-file.ts';

/** What a disk is: the names of its files begin with that. */
export type DiskKind = 'disk' | 'root';
/** Where the folders of disks lie; a root disk that has never been moved lies with its instance. */
const homes = { disk: 'volumes', root: 'root-disks' } as const;
const markFile = '.virga-pool.json';
const markMode = 0o644;
const folderMode = 0o711;
const blockBytes = 512;
/** @see qemu docs/interop/qcow2.txt */
const qcow2Magic = Buffer.from('QFI\xfb', 'latin1');
const sizeOffset = 24;
const sizeEnd = 32;

/** The disk file of a volume, or of an instance, in its folder. */
export const diskFileOf = (format: PresentDisk['format'], kind: DiskKind = 'disk'): string => `${kind}.${format}`;

type Mark = Pick<DesiredPool, 'id' | 'cloudId'>;

export class DirectoryPool implements PoolDriver {
  readonly home: string;
  readonly path: string;
  readonly #mark: Mark | undefined;
  readonly #isShared: boolean;
  readonly #kind: DiskKind;

  /** @param mark undefined: the host's own storage, which needs none */
  constructor(
    path: string,
    mark?: Mark,
    { isShared = false, kind = 'disk' }: { isShared?: boolean; kind?: DiskKind | undefined } = {},
  ) {
    this.path = path;
    this.home = join(path, homes[kind]);
    this.#mark = mark;
    this.#isShared = isShared;
    this.#kind = kind;
  }

  /** Makes it a pool. @param mustExist it is one already, and must say so @throws PoolUnusable */
  async mark({ mustExist }: { mustExist: boolean }): Promise<void> {
    const mark = this.#mark!;
    const found = await readMark(this.path);
    if (found === undefined) {
      if (mustExist) throw this.#unmarked();
      await writeFileDurably(join(this.path, markFile), `${JSON.stringify(mark)}\n`, markMode);
    } else if (found.id !== mark.id) throw anotherPool(this.path, found);
    await mkdir(this.home, { recursive: true, mode: folderMode });
    await flushFolder(this.path);
  }

  /** Takes the mark away again. */
  async unmark(): Promise<void> {
    if ((await readMark(this.path))?.id !== this.#mark?.id) return;
    await rm(join(this.path, markFile), { force: true });
  }

  async require(): Promise<void> {
    if (this.#mark === undefined) return;
    const found = await readMark(this.path);
    if (found === undefined) throw this.#unmarked();
    if (found.id !== this.#mark.id) throw anotherPool(this.path, found);
  }

  async abilities(): Promise<PoolAbilities> {
    return {
      fileSystem: await fileSystemOf(this.path),
      reflink: await canReflink(this.path),
      directIo: await probeDirectIo({ path: this.path }),
    };
  }

  space(): Promise<StorageSpace> {
    return storageSpace({ path: this.path });
  }

  requireSpace(neededBytes: number): Promise<void> {
    return requireSpace({ path: this.path }, neededBytes);
  }

  makeDisk(folder: string, _id: VolumeId, disk: NewDisk, work: DiskWork): Promise<void> {
    return makeDiskFile(this.nameOf(folder, disk), disk, work);
  }

  async sizeOf(folder: string): Promise<number | undefined> {
    const first = await firstFileOf(folder, this.#kind);
    const path = await activeFile(first);
    try {
      // A file on top of it rests on it, as no disk that came from elsewhere may.
      if (path !== first) return await virtualSizeOf(path);
      if (path.endsWith('.raw')) return (await stat(path)).size;
      await using disk = await open(path, 'r');
      const { buffer, bytesRead } = await disk.read(Buffer.alloc(sizeEnd), 0, sizeEnd, 0);
      // Its header may also say what an image's must not, such as that it is encrypted.
      const isWhole = bytesRead === sizeEnd && buffer.subarray(0, 4).equals(qcow2Magic);
      return isWhole ? Number(buffer.readBigUInt64BE(sizeOffset)) : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Of all its files. Blocks that are shared with an image count in full: the file system does not tell them apart. */
  async usedBytes(folder: string): Promise<number | null> {
    const names = await readdir(folder).catch(() => []);
    const sizes = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => ({ blocks: 0 }))));
    return sizes.reduce((sum, { blocks }) => sum + blocks * blockBytes, 0);
  }

  async grow(folder: string, disk: PresentDisk, sizeBytes: number, work: DiskWork): Promise<void> {
    await growFile(await pathsOf(await firstFileOf(folder, this.#kind)), disk, sizeBytes, work);
  }

  async wipe(folder: string, _id: VolumeId, work: DiskWork): Promise<void> {
    const names = (await readdir(folder)).filter((name) => /\.(qcow2|raw)(\.partial)?$/.test(name));
    for (const [index, name] of names.entries()) {
      const onProgress = (percent: number) => work.onProgress?.(Math.floor((100 * index + percent) / names.length));
      await wipeFile(join(folder, name), { ...work, onProgress });
    }
  }

  /** All of it lies in the folder. */
  async removeDisk(): Promise<void> {}

  async isOpenElsewhere(folder: string): Promise<boolean> {
    if (!this.#isShared) return false;
    const path = await activeFile(await firstFileOf(folder, this.#kind));
    return isOpenToWrite(path, path.endsWith('.raw') ? 'raw' : 'qcow2').catch(() => false);
  }

  async source(folder: string, disk: PresentDisk, base: DiskSource | undefined): Promise<DiskSource> {
    const encryption = disk.encrypted ? { secretUuid: volumeSecretUuid(disk.id) } : undefined;
    const source = await layeredSource(this.nameOf(folder, disk), base, encryption);
    // Of its own storage the host knows it, and need not try it out each time.
    return this.#mark === undefined ? source : { ...source, directIo: await probeDirectIo({ path: this.path }) };
  }

  nameOf(folder: string, { format }: Pick<PresentDisk, 'format'>): string {
    return join(folder, diskFileOf(format, this.#kind));
  }

  withImage<T>(folder: string, disk: PresentDisk, use: (options: string) => Promise<T>): Promise<T> {
    const name = this.nameOf(folder, disk);
    return use(disk.encrypted ? openedWith([name], keyId) : `driver=${disk.format},file.filename=${escaped(name)}`);
  }

  async markContent(folder: string, disk: PresentDisk): Promise<string> {
    return String(await this.writtenAt(folder, disk));
  }

  async isAsMarked(folder: string, disk: PresentDisk, mark: string): Promise<boolean> {
    return (await this.markContent(folder, disk)) === mark;
  }

  async forgetMark(): Promise<void> {}

  async writtenAt(folder: string, disk: PresentDisk): Promise<bigint | undefined> {
    try {
      return (await stat(this.nameOf(folder, disk), { bigint: true })).mtimeNs;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #unmarked(): VirgaError {
    return unusable(
      `The folder ${this.path} is not the pool that it was: the file ${markFile} is not in it.`,
      'Mount what belongs there: it may only be the place where that would be.',
    );
  }
}

/** The host's own storage, as a pool. */
export const ownStorage = ({ path }: Pick<Storage, 'path'>, kind?: DiskKind): DirectoryPool =>
  new DirectoryPool(path, undefined, { kind });

export const unusable = (detail: string, action: string, cause?: unknown): VirgaError =>
  new VirgaError('PoolUnusable', { detail, action, cause });

/** Which of the files a volume was made as. */
export async function firstFileOf(folder: string, kind?: DiskKind): Promise<string> {
  const raw = join(folder, diskFileOf('raw', kind));
  return stat(raw).then(
    () => raw,
    () => join(folder, diskFileOf('qcow2', kind)),
  );
}

async function readMark(path: string): Promise<Mark | undefined> {
  try {
    return JSON.parse(await readFile(join(path, markFile), 'utf8')) as Mark;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw unusable(`The folder ${path} cannot be read (${code}).`, 'Give the path of a folder of the host.', error);
  }
}

const anotherPool = (path: string, { id, cloudId }: Mark): VirgaError =>
  unusable(
    `The folder ${path} is another pool: ${id} of the cloud ${cloudId}.`,
    'Give another folder, or remove that pool first.',
  );

/** Tried out with two small files. */
async function canReflink(path: string): Promise<boolean> {
  // Several hosts may try at the same time.
  const from = join(path, `.reflink-probe-${randomBytes(4).toString('hex')}`);
  const to = `${from}-copy`;
  try {
    await using file = await open(from, constants.O_RDWR | constants.O_CREAT, 0o600);
    await file.write(Buffer.alloc(65_536, 1));
    await file.datasync();
    await rm(to, { force: true });
    return await reflink(from, to);
  } finally {
    await rm(from, { force: true });
    await rm(to, { force: true });
  }
}

/** @see linux/magic.h */
const fileSystems: Record<number, string> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  26985: 'nfs',
  12805120: 'ceph',
  1702057286: 'fuse',
  801189825: 'zfs',
  2035054128: 'overlay',
  4283649346: 'cifs',
  4266872130: 'smb2',
};

async function fileSystemOf(path: string): Promise<string | null> {
  return fileSystems[Number((await statfs(path)).type)] ?? null;
}

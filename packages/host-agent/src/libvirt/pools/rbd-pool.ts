// A pool of Ceph: volumes are its images, raw, made and removed by Ceph's own program `rbd`; their folders, with the record
// alone, lie in the storage of the host. The key goes to the program in a file that is root's and gone afterwards.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DesiredPool, PoolAbilities, PoolPlace } from '@virga/contract/agent/pools';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import { CommandFailed, runCommand } from '../../run-command.ts';
import { startOwned } from '../backups/owned-process.ts';
import { runConvert } from '../disks/convert-disk.ts';
import { type DiskSource, diskName } from '../disks/disk-source.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import type { Storage, StorageSpace } from '../storage.ts';
import { volumeSecretUuid } from '../volumes/volume-secret.ts';
import { evenIfItCrashes, isNotThere, isStillOpen, stillOpen } from './ceph-failures.ts';
import { cephSecretUuid } from './ceph-secret.ts';
import { sourceOf, withKeys } from './disk-files.ts';
import { type DiskWork, keyId, type Measure, type NewDisk, type PoolDriver, type PresentDisk } from './pool-driver.ts';
import { type Extent, readExtents } from './rbd-extents.ts';
import { contentBytes, imageBytes, makeLuks } from './rbd-luks.ts';
import { imageWrittenAt, isImageAsMarked, markImage, unmarkImage } from './rbd-marks.ts';
import { forgetMoments, type KeptFor, rbdSnapshotsOf, removeRbdSnapshot } from './rbd-snapshots.ts';
import { wipeExtents } from './rbd-wipe.ts';

type Usages = { images?: { name: string; provisioned_size: number; used_size: number }[] };
/** To a cluster: files that are gone afterwards. */
type Access = { conf: string; user: string };
type RbdPlace = Extract<PoolPlace, { driver: 'rbd' }>;

const longestMs = 24 * 3_600_000;
const attempts = 5;
/** Commands that change nothing. */
const questions: ReadonlySet<string> = new Set(['ls', 'info', 'du', 'df', 'children']);
/** A cluster that does not answer in this time is away. */
const answerMs = 30_000;

export class RbdPool implements PoolDriver {
  readonly home: string;
  readonly cephPool: string;
  readonly #pool: Pick<DesiredPool, 'id' | 'cloudId'>;
  readonly #place: RbdPlace;

  constructor(storage: Storage, pool: Pick<DesiredPool, 'id' | 'cloudId'>, place: RbdPlace) {
    this.home = storage.volumesPath;
    this.cephPool = place.cephPool;
    this.#pool = pool;
    this.#place = place;
  }

  async require(): Promise<void> {
    await this.rbd(['ls', this.#place.cephPool]);
  }

  async abilities(): Promise<PoolAbilities> {
    return { fileSystem: null, reflink: false, directIo: false };
  }

  async space(): Promise<StorageSpace> {
    const text = await this.#run('ceph', ['df', '--format', 'json']);
    const { pools = [] } = JSON.parse(text) as { pools?: { name: string; stats: Record<string, number> }[] };
    const { stats = {} } = pools.find(({ name }) => name === this.#place.cephPool) ?? {};
    const freeBytes = stats.max_avail ?? 0;
    return { totalBytes: freeBytes + (stats.stored ?? stats.bytes_used ?? 0), freeBytes };
  }

  async requireSpace(neededBytes: number): Promise<void> {
    const { freeBytes } = await this.space();
    if (freeBytes >= neededBytes) return;
    throw new VirgaError('StorageFull', {
      detail: `The Ceph pool ${this.#place.cephPool} has ${freeBytes} bytes left, ${neededBytes} are needed.`,
      action: 'Delete volumes that are no longer needed, or add storage to the cluster.',
    });
  }

  async makeDisk(_folder: string, id: VolumeId, disk: NewDisk, work: DiskWork): Promise<void> {
    // Under a name of its own until it is whole: what a crash leaves of it the next try removes.
    const partial = this.imageName(`${id}.partial`);
    await this.removeImage(partial);
    if (disk.passphrase !== undefined) {
      await this.#makeEncrypted(`${id}.partial`, disk, disk.passphrase, work);
    } else if (disk.source === undefined) {
      await this.rbd(['create', '--size', `${disk.sizeBytes}B`, partial], work);
    } else {
      await this.importDisk(disk.source.image, partial, work);
      if (disk.sizeBytes > disk.source.image.virtualSizeBytes) await this.growImage(partial, disk.sizeBytes, work);
    }
    await work.beforeRename?.();
    await this.rbd(['rename', partial, this.imageName(id)], work);
  }

  #makeEncrypted(name: string, disk: NewDisk, passphrase: string, work: DiskWork): Promise<void> {
    const image = this.imageName(name);
    return this.#withAccess(({ conf, user }) => {
      const target = {
        name: `rbd:${image}:id=${user}:conf=${conf}`,
        options: this.#options(name, true, { conf, user }),
      };
      return makeLuks({ ...target, passphrase, remove: () => this.removeImage(image) }, disk, work);
    });
  }

  async sizeOf(_folder: string, id: VolumeId, encrypted = false): Promise<number | undefined> {
    try {
      const text = await this.rbd(['info', '--format', 'json', this.imageName(id)]);
      return contentBytes((JSON.parse(text) as { size: number }).size, encrypted);
    } catch (error) {
      if (isNotThere(error)) return undefined;
      throw error;
    }
  }

  async usedBytes(_folder: string, id: VolumeId): Promise<number | null> {
    const text = await this.rbd(['du', '--format', 'json', this.imageName(id)]);
    const { images = [] } = JSON.parse(text) as { images?: { used_size?: number }[] };
    return images.reduce((sum, { used_size: used = 0 }) => sum + used, 0);
  }

  async measureAll(): Promise<ReadonlyMap<string, Measure>> {
    for (let left = attempts; left > 0; left--) {
      try {
        const text = await this.rbd(['du', '--format', 'json', '--pool', this.#place.cephPool]);
        const { images = [] } = JSON.parse(text) as Usages;
        const found = new Map<string, { sizeBytes: number; usedBytes: number }>();
        // What its snapshots keep an image takes too; as it is now comes after them.
        for (const { name, provisioned_size: sizeBytes, used_size: bytes } of images) {
          found.set(name, { sizeBytes, usedBytes: bytes + (found.get(name)?.usedBytes ?? 0) });
        }
        return found;
      } catch (error) {
        // It measures nothing when one of the images has gone since it listed them.
        if (!isNotThere(error)) throw error;
      }
    }
    const text = await this.rbd(['ls', '--long', '--format', 'json', this.#place.cephPool]);
    const listed = JSON.parse(text) as { image: string; snapshot?: string; size: number }[];
    const images = listed.filter(({ snapshot }) => snapshot === undefined);
    return new Map(images.map(({ image, size: sizeBytes }) => [image, { sizeBytes, usedBytes: null }]));
  }

  async grow(_folder: string, { id, encrypted }: PresentDisk, sizeBytes: number, work: DiskWork): Promise<void> {
    await this.growImage(this.imageName(id), imageBytes(sizeBytes, encrypted), work);
  }

  /** @param sizeBytes more than it has: Ceph refuses what it has already @throws as #run */
  async growImage(image: string, sizeBytes: number, work: DiskWork): Promise<void> {
    await this.rbd(['resize', '--no-progress', '--size', `${sizeBytes}B`, image], work);
  }

  async wipe(folder: string, id: VolumeId, work: DiskWork): Promise<void> {
    // One that is gone was wiped before it was removed.
    if ((await this.sizeOf(folder, id)) === undefined) return;
    // They would keep what is overwritten.
    await forgetMoments(this, id);
    const written = await this.extents(this.imageName(id), undefined, work);
    // Encrypted or not: with its header goes what its key opens.
    const disk = { id, format: 'raw', encrypted: false } as const;
    await this.withImage(folder, disk, (options) => wipeExtents(options, written, work));
  }

  async removeDisk(id: VolumeId): Promise<void> {
    await this.removeImage(this.imageName(`${id}.partial`));
    await this.forgetMark(id);
    await forgetMoments(this, id);
    // Of a host that is lost.
    for (const snapshot of await rbdSnapshotsOf(this, id)) await removeRbdSnapshot(this, id, snapshot);
    await this.removeImage(this.imageName(id));
  }

  async isOpenElsewhere(): Promise<boolean> {
    // Ceph refuses to remove an image that somebody watches.
    return false;
  }

  async source(_folder: string, { id, encrypted }: PresentDisk): Promise<DiskSource> {
    const encryption = encrypted ? { encryption: { secretUuid: volumeSecretUuid(id) } } : {};
    return { path: this.imageName(id), format: 'raw', directIo: false, rbd: this.#access(), ...encryption };
  }

  nameOf(_folder: string, { id }: PresentDisk): string {
    return diskName({ path: this.imageName(id), rbd: this.#access() });
  }

  withImage<T>(_folder: string, { id, encrypted }: PresentDisk, use: (options: string) => Promise<T>): Promise<T> {
    return this.#withAccess((access) => use(this.#options(id, encrypted, access)));
  }

  /** As programs of QEMU's open it. */
  #options(image: string, encrypted: boolean, access: Access): string {
    const content = encrypted ? `driver=luks,key-secret=${keyId}` : 'driver=raw';
    return `${content},${this.#file(image, access)}`;
  }

  #file(image: string, { conf, user }: Access): string {
    const file = { driver: 'rbd', pool: this.#place.cephPool, image, conf, user };
    return Object.entries(file)
      .map(([name, value]) => `file.${name}=${value}`)
      .join(',');
  }

  markContent(_folder: string, { id }: PresentDisk): Promise<string> {
    return markImage(this, this.imageName(id));
  }

  isAsMarked(_folder: string, { id }: PresentDisk, mark: string): Promise<boolean> {
    return isImageAsMarked(this, this.imageName(id), mark);
  }

  forgetMark(id: VolumeId): Promise<void> {
    return unmarkImage(this, this.imageName(id));
  }

  writtenAt(_folder: string, { id }: PresentDisk): Promise<bigint | undefined> {
    return imageWrittenAt(this, this.imageName(id));
  }

  /** In nanoseconds; 0: it is gone. */
  async objectWrittenAt(name: string): Promise<bigint> {
    try {
      // Such as `POOL/OBJECT mtime 2026-01-31T12:00:00.123456+0000, size 4096`.
      const text = await this.#run('rados', ['--pool', this.#place.cephPool, 'stat2', name]);
      const [, seconds = '', fraction = '', zone = ''] = /mtime (\S+?)\.(\d+)([+-]\d{4})/.exec(text) ?? [];
      return BigInt(Date.parse(`${seconds}${zone}`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
    } catch (error) {
      if (isNotThere(error)) return 0n;
      throw error;
    }
  }

  #access(): NonNullable<DiskSource['rbd']> {
    const monitors = this.#place.monitors.map((monitor) => {
      const [, host = monitor, port] = /^(.*?)(?::(\d+))?$/.exec(monitor) ?? [];
      return { host, port: port === undefined ? undefined : Number(port) };
    });
    return { monitors, user: this.#place.user, secretUuid: cephSecretUuid(this.#pool.id) };
  }

  /** As Ceph's programs and QEMU call it. */
  imageName(name: string): string {
    return `${this.#place.cephPool}/${name}`;
  }

  /** Nothing there is success. @throws as #run | HostUnavailable somebody has it open */
  async removeImage(image: string): Promise<void> {
    try {
      // Each of its objects by itself.
      await this.#run('rbd', ['rm', '--no-progress', image], {}, longestMs);
    } catch (error) {
      if (!isNotThere(error)) throw isStillOpen(error) ? stillOpen(image, error) : error;
    }
  }

  /** @throws as #run */
  rbd(args: readonly string[], work: DiskWork = {}): Promise<string> {
    return this.#run('rbd', args, work);
  }

  /** What may take long, or must not go on without us. @throws as #run */
  rbdOwned(args: readonly string[], { signal, onProgress }: DiskWork = {}): Promise<void> {
    const run = async (access: readonly string[]) => {
      const stdio = ['ignore' as const, 'ignore' as const, 'pipe' as const];
      const child = startOwned('rbd', [...access, ...args], { stdio, signal, package: 'ceph-common' });
      child.stderr!.on('data', (text: string) => {
        const percent = [...text.matchAll(/(\d+)% complete/g)].at(-1)?.[1];
        if (percent !== undefined) onProgress?.(Number(percent));
      });
      await child.ended;
    };
    // What was copied in part only does not tell.
    const isDone = args[1] === 'rollback' ? undefined : () => undefined;
    return this.#asking((access) => evenIfItCrashes(() => run(access), isDone));
  }

  /** Gives what one of its snapshots keeps of an image to who copies it: options by which programs of QEMU's find it. */
  withSnapshot<T>(image: VolumeId, snapshot: KeptFor, use: (options: string) => Promise<T>): Promise<T> {
    return this.#withAccess((access) => use(`${this.#file(image, access)},file.snapshot=${snapshot}`));
  }

  /** Makes an image of Ceph with the content of another disk. @param target which is not there @throws CommandFailed */
  importDisk(image: BaseImage, target: string, { signal, onProgress }: DiskWork): Promise<void> {
    const { how, name, keys } = sourceOf(image);
    return this.#withAccess(({ conf, user }) =>
      withKeys(keys, (secrets) => {
        const from = [...secrets, ...(image.isLayer ? ['-U'] : []), ...how];
        const args = [...from, '-O', 'raw', name, `rbd:${target}:id=${user}:conf=${conf}`];
        return runConvert(args, '', { signal, onProgress: (_, percent) => onProgress?.(percent) });
      }),
    );
  }

  /** What is written of an image; since one of its snapshots, what has changed. @throws as #run */
  extents(image: string, since: string | undefined, { signal }: DiskWork = {}): Promise<Extent[]> {
    return this.#asking(async (access) => {
      const from = since === undefined ? [] : ['--from-snap', since];
      const args = [...access, 'diff', '--whole-object', ...from, image];
      const stdio = ['ignore' as const, 'pipe' as const, 'pipe' as const];
      const child = startOwned('rbd', args, { stdio, signal, package: 'ceph-common' });
      const found = await readExtents(child.stdout!);
      await child.ended;
      return found;
    });
  }

  /** @throws HostUnavailable the cluster does not answer | PoolUnusable | CommandFailed */
  async #run(
    program: string,
    args: readonly string[],
    { signal }: DiskWork = {},
    timeoutMs = answerMs,
  ): Promise<string> {
    return this.#asking((access) => {
      const run = () => runCommand(program, [...access, ...args], { signal, timeoutMs, package: 'ceph-common' });
      return questions.has(args[0]!) || args[1] === 'ls' ? evenIfItCrashes(run) : run();
    });
  }

  /** Runs a program of Ceph's with arguments that let it into the cluster. @throws as #run */
  #asking<T>(work: (access: readonly string[]) => Promise<T>): Promise<T> {
    return this.#withAccess(async ({ conf, user }) => {
      try {
        return await work(['--conf', conf, '--id', user]);
      } catch (error) {
        if (!(error instanceof CommandFailed) || isNotThere(error)) throw error;
        throw new VirgaError('PoolUnusable', {
          detail: `Ceph did not do what was asked of the pool ${this.#place.cephPool}: ${error.message}.`,
          action: 'Check monitors, user and key of the pool, and that the cluster runs.',
          cause: error,
        });
      }
    });
  }

  async #withAccess<T>(work: (access: Access) => Promise<T>): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), 'virga-ceph.'));
    try {
      const { monitors, user, key } = this.#place;
      const [conf, keyring] = [join(folder, 'ceph.conf'), join(folder, 'keyring')];
      await writeFile(keyring, `[client.${user}]\nkey = ${key}\n`, { mode: 0o600 });
      const text = `[global]\nmon_host = ${monitors.join(',')}\nkeyring = ${keyring}\nlog_file =\n`;
      await writeFile(conf, text, { mode: 0o600 });
      return await work({ conf, user });
    } finally {
      await rm(folder, { recursive: true });
    }
  }
}

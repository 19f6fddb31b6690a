// A pool of Ceph: volumes are its images, raw, made and removed by Ceph's own program `rbd`; their folders, with the record
// alone, lie in the storage of the host. The key goes to the program in a file that is root's and gone afterwards.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DesiredPool, PoolAbilities, PoolPlace } from '@virga/contract/agent/pools';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import { CommandFailed, runCommand } from '../../run-command.ts';
import type { DiskSource } from '../disks/disk-source.ts';
import type { Storage, StorageSpace } from '../storage.ts';
import { cephSecretUuid } from './ceph-secret.ts';
import type { DiskWork, NewDisk, PoolDriver, PresentDisk } from './pool-driver.ts';

type RbdUsage = { name: string; snapshot?: string; provisioned_size: number; used_size: number };
type RbdPlace = Extract<PoolPlace, { driver: 'rbd' }>;

const longestMs = 24 * 3_600_000;
/** A cluster that does not answer in this time is away. */
const answerMs = 30_000;
const notThereCode = 2;

export class RbdPool implements PoolDriver {
  readonly home: string;
  readonly #pool: Pick<DesiredPool, 'id' | 'cloudId'>;
  readonly #place: RbdPlace;

  constructor(storage: Storage, pool: Pick<DesiredPool, 'id' | 'cloudId'>, place: RbdPlace) {
    this.home = storage.volumesPath;
    this.#pool = pool;
    this.#place = place;
  }

  async require(): Promise<void> {
    await this.#rbd(['ls', this.#place.cephPool]);
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
    const partial = this.#image(`${id}.partial`);
    await this.#remove(partial);
    if (disk.source === undefined) {
      await this.#rbd(['create', '--size', `${disk.sizeBytes}B`, partial], work);
    } else {
      await this.#withAccess(async ({ conf, user }) => {
        const target = `rbd:${partial}:id=${user}:conf=${conf}`;
        const { image } = disk.source!;
        const convert = ['convert', '-q', '-f', image.format, '-O', 'raw', image.path, target];
        await runCommand('qemu-img', convert, {
          signal: work.signal,
          timeoutMs: longestMs,
          package: 'qemu-block-extra',
        });
      });
      const size = Math.max(disk.sizeBytes, disk.source.image.virtualSizeBytes);
      await this.#rbd(['resize', '--no-progress', '--size', `${size}B`, partial], work);
    }
    await work.beforeRename?.();
    await this.#rbd(['rename', partial, this.#image(id)], work);
  }

  async sizeOf(_folder: string, id: VolumeId): Promise<number | undefined> {
    try {
      const text = await this.#rbd(['info', '--format', 'json', this.#image(id)]);
      return (JSON.parse(text) as { size: number }).size;
    } catch (error) {
      if (isNotThere(error)) return undefined;
      throw error;
    }
  }

  async usedBytes(_folder: string, id: VolumeId): Promise<number | null> {
    const text = await this.#rbd(['du', '--format', 'json', this.#image(id)]);
    const { images = [] } = JSON.parse(text) as { images?: { used_size?: number }[] };
    return images.reduce((sum, { used_size: used = 0 }) => sum + used, 0);
  }

  async measureAll(): Promise<ReadonlyMap<string, { sizeBytes: number; usedBytes: number }>> {
    const text = await this.#rbd(['du', '--format', 'json', '--pool', this.#place.cephPool]);
    const { images = [] } = JSON.parse(text) as { images?: RbdUsage[] };
    const current = images.filter(({ snapshot }) => snapshot === undefined);
    return new Map(
      current.map(({ name, provisioned_size: sizeBytes, used_size: usedBytes }) => [name, { sizeBytes, usedBytes }]),
    );
  }

  async grow(_folder: string, { id }: PresentDisk, sizeBytes: number, work: DiskWork): Promise<void> {
    await this.#rbd(['resize', '--no-progress', '--size', `${sizeBytes}B`, this.#image(id)], work);
  }

  /** @throws InvalidArgument Ceph writes where it likes */
  async wipe(): Promise<void> {
    throw new VirgaError('InvalidArgument', {
      detail: 'A volume in a Ceph pool cannot be overwritten in place.',
      action: 'Delete it without --wipe; encrypt what must be unreadable afterwards.',
    });
  }

  removeDisk(id: VolumeId): Promise<void> {
    return this.#remove(this.#image(`${id}.partial`)).then(() => this.#remove(this.#image(id)));
  }

  async isOpenElsewhere(): Promise<boolean> {
    // Ceph refuses to remove an image that somebody watches.
    return false;
  }

  async source(_folder: string, { id }: PresentDisk): Promise<DiskSource> {
    const monitors = this.#place.monitors.map((monitor) => {
      const [, host = monitor, port] = /^(.*?)(?::(\d+))?$/.exec(monitor) ?? [];
      return { host, port: port === undefined ? undefined : Number(port) };
    });
    const rbd = { monitors, user: this.#place.user, secretUuid: cephSecretUuid(this.#pool.id) };
    return { path: this.#image(id), format: 'raw', directIo: false, rbd };
  }

  #image(name: string): string {
    return `${this.#place.cephPool}/${name}`;
  }

  async #remove(image: string): Promise<void> {
    try {
      await this.#rbd(['rm', '--no-progress', image]);
    } catch (error) {
      if (!isNotThere(error)) throw error;
    }
  }

  #rbd(args: readonly string[], work: DiskWork = {}): Promise<string> {
    return this.#run('rbd', args, work);
  }

  /** @throws HostUnavailable the cluster does not answer | PoolUnusable | CommandFailed */
  async #run(program: string, args: readonly string[], { signal }: DiskWork = {}): Promise<string> {
    return this.#withAccess(async ({ conf, user }) => {
      try {
        const access = ['--conf', conf, '--id', user];
        return await runCommand(program, [...access, ...args], { signal, timeoutMs: answerMs, package: 'ceph-common' });
      } catch (error) {
        if (!(error instanceof CommandFailed) || error.exitCode === notThereCode) throw error;
        throw new VirgaError('PoolUnusable', {
          detail: `Ceph did not do what was asked of the pool ${this.#place.cephPool}: ${error.message}.`,
          action: 'Check monitors, user and key of the pool, and that the cluster runs.',
          cause: error,
        });
      }
    });
  }

  async #withAccess<T>(work: (access: { conf: string; user: string }) => Promise<T>): Promise<T> {
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

const isNotThere = (error: unknown): boolean => error instanceof CommandFailed && error.exitCode === notThereCode;

// A machine whose disk the test writes to, while the machine runs and while it is off, and a store to back it up to. The test knows
// what is on the disk at every moment, and compares. Owns the instance and the store.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupStoreAccess, DesiredBackup, FinishedBackup, StoredDisk } from '@virga/contract/agent/backups';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { type BackupId, newId, type VolumeId } from '@virga/contract/ids';
import { instanceFiles } from '../../instances/instance-folder.ts';
import { openStorage } from '../../storage.ts';
import type { TestHost } from '../../testing/test-host.ts';
import { withOpenDisk } from '../open-disk.ts';
import { fetchedDisk } from '../restore-folder.ts';

export const diskBytes = 16 * 1024 * 1024;
const backendOf: Record<string, string> = {
  root: '/machine/peripheral/virtio-disk0/virtio-backend',
};

export class BackupWorld {
  readonly host: TestHost;
  readonly instance: DesiredInstance;
  readonly store: BackupStoreAccess;
  /** What the root disk has in it. */
  readonly content: Buffer;
  /** What it had when each backup was made, the last of which rests on those before. */
  readonly made: { backup: FinishedBackup; content: Buffer }[] = [];
  readonly #folder: string;

  /** @param given default a store that is made for it */
  static async open(host: TestHost, given?: BackupStoreAccess, sizeBytes = diskBytes): Promise<BackupWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'virga-store-test.'));
    const store = given ?? directoryStore(host, join(folder, 'store'));
    if (given === undefined) await host.agent.openBackupStore(store);
    const base = host.instance(host.network(), newId('image'), { nics: [] });
    const instance = { ...base, rootDisk: { ...base.rootDisk, imageId: null, sizeBytes } };
    return new BackupWorld(host, instance, store, folder);
  }

  private constructor(host: TestHost, instance: DesiredInstance, store: BackupStoreAccess, folder: string) {
    this.host = host;
    this.instance = instance;
    this.store = store;
    this.#folder = folder;
    this.content = Buffer.alloc(instance.rootDisk.sizeBytes);
  }

  async close(): Promise<void> {
    await this.host.agent.deleteInstance(this.instance);
    await rm(this.#folder, { recursive: true });
  }

  get #ref() {
    return this.host.outside.domains.lookupByUuid(this.instance.uuid);
  }

  /** As a guest would, past it. */
  async write(offset: number, length: number, pattern: number): Promise<void> {
    const command = `qemu-io -d ${backendOf.root} "write -P ${pattern} ${offset} ${length}"`;
    const answer = await this.host.outside.domains.humanMonitorCommand(await this.#ref, command);
    // What it says, QEMU says to its log; here it says only what is wrong.
    assert.equal(answer, '');
    this.content.fill(pattern, offset, offset + length);
  }

  /** What is in a file, from its beginning. What the disk has then is for the caller to know. */
  async writeFrom(path: string, offset: number, length: number): Promise<void> {
    const command = `qemu-io -d ${backendOf.root} "write -s ${path} ${offset} ${length}"`;
    assert.equal(await this.host.outside.domains.humanMonitorCommand(await this.#ref, command), '');
  }

  async discard(offset: number, length: number): Promise<void> {
    const command = `qemu-io -d ${backendOf.root} "write -z ${offset} ${length}"`;
    assert.equal(await this.host.outside.domains.humanMonitorCommand(await this.#ref, command), '');
    this.content.fill(0, offset, offset + length);
  }

  desired(changes: Partial<DesiredBackup> = {}): DesiredBackup {
    const last = this.made.at(-1)?.backup;
    const { id, uuid, domainName } = this.instance;
    return {
      ...{ id: newId('backup'), cloudId: this.host.cloudId, store: this.store, instance: { id, uuid, domainName } },
      parent: last === undefined ? null : { id: last.id, disks: last.disks },
      ...{ full: false, freezes: false, leavesOut: [], kept: last === undefined ? [] : [last.id], keepsake: {} },
      ...changes,
    };
  }

  async backUp(changes: Partial<DesiredBackup> = {}, agent = this.host.agent): Promise<FinishedBackup> {
    const desired = this.desired(changes);
    const content = Buffer.from(this.content);
    const backup = await agent.makeBackup(desired);
    await agent.endBackup({ ...desired, made: true });
    this.made.push({ backup, content });
    return backup;
  }

  /** Backups that one rests on, and itself, of a disk. */
  chainOf(backupId: BackupId, diskId: VolumeId = this.instance.rootDisk.id): StoredDisk[] {
    const upTo = this.made.slice(0, this.made.findIndex(({ backup }) => backup.id === backupId) + 1);
    const disks = upTo.map(({ backup }) => backup.disks.find(({ id }) => id === diskId)!);
    return disks.slice(disks.findLastIndex(({ full }) => full));
  }

  /** Restores a backup beside the instance, and reads the disk. */
  async restored(backupId: BackupId): Promise<Buffer> {
    const { agent, cloudId, storagePath } = this.host;
    const id = newId('restore');
    const disk = this.instance.rootDisk.id;
    const chain = this.chainOf(backupId);
    await agent.fetchRestore({ id, cloudId, store: this.store, disks: [{ id: disk, chain }], hidesBase: false });
    const path = fetchedDisk(await openStorage(storagePath), id, disk);
    const content = await readDisk(path);
    await agent.endRestore({ id, cloudId });
    return content;
  }

  async rootFile(): Promise<string> {
    return instanceFiles(await openStorage(this.host.storagePath), this.instance.id).rootDisk;
  }
}

export const directoryStore = ({ cloudId }: TestHost, path: string): BackupStoreAccess => ({
  ...{ id: newId('backupStore'), cloudId, password: 'a secret of the test', limitBytesPerSecond: null },
  place: { kind: 'directory', path },
});

/** Of a disk that no guest has. */
export const readDisk = (path: string): Promise<Buffer> =>
  withOpenDisk({ path, format: 'qcow2' }, { writes: false }, (disk) => disk.read(0, disk.sizeBytes));

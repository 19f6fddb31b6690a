// Backups of instances with disks in a real Ceph cluster: what is read of each is compared to what was on the disks at that
// moment, and what is restored to what was fetched, also where either was cut short at every step.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DesiredBackup, FullReason, RestoreSwap } from '@virga/contract/agent/backups';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DesiredPool } from '@virga/contract/agent/pools';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { type BackupId, newId, type RestoreId, type VolumeId } from '@virga/contract/ids';
import { exists } from '../../../exists.ts';
import { convertDisk } from '../../disks/convert-disk.ts';
import { observedState } from '../../instances/observed-state.ts';
import { openStorage } from '../../storage.ts';
import type { TestHost } from '../../testing/test-host.ts';
import { backupFolder, readState } from '../backup-folder.ts';
import { dataBytesOf } from '../disk-stream.ts';
import { withReadDisk } from '../read-disk.ts';
import { fetchedDisk, openRestoreFolder } from '../restore-folder.ts';
import { directoryStore } from './backup-world.ts';

type MiniCeph = { pool: string; run(program: string, args: readonly string[]): Promise<string> };
type CephWorld = { ceph: MiniCeph; host: TestHost; pool: DesiredPool };
type Hook = (step: string) => void;

const mebibyte = 1024 * 1024;
const diskBytes = 16 * mebibyte;
const objectBytes = 4 * mebibyte;
/** On a machine with a lot else to do. */
const busyMs = 300_000;
const off = { state: 'stopped', forceAt: new Date(0).toISOString() } as const;

/** @param open undefined: Ceph is not installed */
export function testCephBackups(open: () => CephWorld | undefined): void {
  const cases = (name: string, run: (world: CephBackups) => Promise<void>) =>
    test(name, { timeout: busyMs }, async (t) => {
      const world = open();
      if (world === undefined) return t.skip('Ceph is not installed');
      await world.host.agent.applyPool(world.pool);
      await run(new CephBackups(world));
    });

  cases('disks in Ceph and a file beside them are read at one moment, and what changed after it', async (world) => {
    const { host, pool } = world;
    const [inCeph, file] = [await world.volume({ pool }), await world.volume()];
    const desired = await world.launch([inCeph, file]);
    const root = desired.rootDisk.id;
    const ids = [root, inCeph.id, file.id];
    for (const [at, id] of ids.entries()) await world.write(id, 3 * mebibyte, 100_000, at + 1);
    assert.deepEqual((await world.read(desired)).fullReason, 'first');
    assert.equal(await world.state(desired), 'running', 'it stood still for that moment only');
    await world.write(inCeph.id, 9 * mebibyte, 4096, 9);
    await world.write(file.id, 9 * mebibyte, 4096, 9);
    // What shows through from the image, and what was written before.
    await world.zero(root, 0, mebibyte);
    await world.zero(inCeph.id, 3 * mebibyte, 100_000);
    const hook = killedOnceAt('snapshot-pause', 'snapshot-go-on');
    const { fullReason, bytes } = await world.read(desired, { hook });
    assert.equal(await world.state(desired), 'running', 'also after it was left standing still');
    assert.equal(fullReason, null);
    assert.ok(bytes <= 4 * objectBytes, `only what has changed is read, ${bytes} bytes`);
    // Nothing records what changes of the file then.
    const last = world.lastId();
    await host.agent.applyInstance({ ...desired, generation: 2, power: off });
    assert.equal((await world.read(desired)).fullReason, 'off');
    assert.deepEqual(await world.moments(root), [last], 'what is off is recorded of no disk');
    await world.end(desired, inCeph, file);
  });

  cases(
    'what lies in Ceph alone has a chain that outlives crashes and power off, unless a moment is lost',
    async (world) => {
      const { host, ceph } = world;
      const desired = await world.launch([]);
      const root = desired.rootDisk.id;
      const { id, uuid, domainName } = desired;
      const snapshot = { id: newId('snapshot'), cloudId: host.cloudId, instance: { id, uuid, domainName } };
      const before = Buffer.from(world.contentOf(root));
      await host.agent.applySnapshot({ ...snapshot, name: 's', memory: false, mustExist: false, keepsake: {} });
      await world.write(root, 0, 5000, 1);
      assert.equal((await world.read(desired)).fullReason, 'first');
      await world.write(root, 10 * mebibyte, 70_000, 2);
      const hook = killedOnceAt('backup-read', 'backup-begun', 'backup-pushed');
      assert.equal((await world.read(desired, { hook })).fullReason, null);
      await host.agent.applyInstance({ ...desired, generation: 2, power: off });
      assert.deepEqual(await world.read(desired), { fullReason: null, bytes: 0 });
      // What is empty again shows what is in the image.
      await host.agent.revertSnapshot({ ...snapshot, token: 'once' });
      before.copy(world.contentOf(root));
      assert.equal((await world.read(desired)).fullReason, null);
      await host.agent.deleteSnapshot(snapshot);
      const last = world.lastId();
      await world.read(desired, { made: false });
      assert.deepEqual(await world.moments(root), [last], 'the last one is all that is kept');
      await ceph.run('rbd', ['snap', 'rm', '--no-progress', `${ceph.pool}/${root}@${last}`]);
      assert.equal((await world.read(desired)).fullReason, 'chain-broken');
      await world.end(desired);
    },
  );

  cases(
    'what is fetched takes the place of disks in Ceph, cut short at every step, and goes back, or is a new instance',
    async (world) => {
      const { host, pool } = world;
      const volume = await world.volume({ pool });
      const desired = await world.launch([volume]);
      const ids = [desired.rootDisk.id, volume.id];
      const swap = (): RestoreSwap => ({
        ...{ id: newId('restore'), cloudId: host.cloudId, instance: desired },
        disks: ids.map((id) => ({ id, role: id === desired.rootDisk.id ? 'root' : 'data', fetched: id })),
      });
      const first = swap();
      await assert.rejects(host.agent.checkSwap(first), { code: 'Conflict' });
      await host.agent.applyInstance({ ...desired, generation: 2, power: off });
      await host.agent.checkSwap(first);
      const before = await world.exported(ids);
      const restored = await world.fetched(first.id, ids);
      const dying = await host.openAgent({ hook: killedOnceAt('restore-set-aside', 'restore-put') });
      for (let left = 2; left > 0; left--) await assert.rejects(dying.swapDisks(first), /killed/);
      await dying.swapDisks(first);
      assert.deepEqual(await world.exported(ids), restored);
      for (let again = 0; again < 2; again++) await host.agent.swapDisksBack(first);
      assert.deepEqual(await world.exported(ids), before);
      await host.agent.endRestore(first);
      const second = swap();
      const content = await world.fetched(second.id, ids);
      await host.agent.swapDisks(second);
      await host.agent.endRestore(second);
      assert.deepEqual(await world.exported(ids), content);
      assert.deepEqual((await world.images(ids)).sort(), [...ids].sort(), 'nothing else stays in Ceph');

      const id = newId('restore');
      const anew = await world.fetched(id, ids);
      const data = await world.volume({ pool, restored: { id, disk: volume.id } });
      const root = { id: newId('volume'), imageId: null, sizeBytes: diskBytes, pool: pool.id };
      const base = host.instance(host.network(), newId('image'), { nics: [] });
      const restoredRoot = { ...base.rootDisk, ...root, restored: { id, disk: desired.rootDisk.id } };
      const fresh = { ...base, rootDisk: restoredRoot };
      assert.equal((await host.agent.applyInstance(fresh)).state, 'running');
      await host.agent.applyInstance({ ...fresh, generation: 2, power: off });
      assert.deepEqual(await world.exported([root.id, data.id]), anew);
      assert.ok(!(await exists(backupFolder(await openStorage(host.storagePath), id))), 'nor here');
      await world.end(fresh, data);
      await world.end(desired, volume);
    },
  );
}

function killedOnceAt(...steps: string[]): Hook {
  const left = new Set(steps);
  return (step) => {
    if (left.delete(step)) throw new Error('killed');
  };
}

class CephBackups {
  readonly host: TestHost;
  readonly pool: DesiredPool;
  readonly ceph: MiniCeph;
  readonly #read: { id: BackupId; fullReason: FullReason | null; contents: ReadonlyMap<VolumeId, Buffer> }[] = [];
  /** Each disk, and what QEMU calls it. */
  readonly #contents = new Map<VolumeId, { device: string; bytes: Buffer; domainName: string }>();

  constructor({ host, pool, ceph }: CephWorld) {
    this.host = host;
    this.pool = pool;
    this.ceph = ceph;
  }

  async volume(changes: Partial<DesiredVolume> = {}): Promise<DesiredVolume> {
    const volume: DesiredVolume = {
      ...{ id: newId('volume'), cloudId: this.host.cloudId, generation: 1, name: 'data', sizeBytes: diskBytes },
      ...{ mustExist: false, keepsake: {} },
      ...changes,
    };
    await this.host.agent.applyVolume(volume);
    return volume;
  }

  /** Its root disk is a clone of an image in Ceph. */
  async launch(volumes: readonly DesiredVolume[]): Promise<DesiredInstance> {
    const { host } = this;
    const imageId = newId('image');
    const content = randomBytes(2 * mebibyte);
    const path = join(host.storagePath, `${imageId}.raw`);
    await writeFile(path, content);
    const source = { kind: 'file' as const, path };
    await host.agent.importImage({ id: imageId, cloudId: host.cloudId, generation: 1, source, format: 'raw' });
    const base = host.instance(host.network(), imageId, {
      nics: [],
      volumes: volumes.map(({ id }, at) => ({ id, target: `vd${'cdef'[at]}`, readOnly: false })),
    });
    const desired = { ...base, rootDisk: { ...base.rootDisk, sizeBytes: diskBytes, pool: this.pool.id } };
    await host.agent.applyInstance(desired);
    const add = (id: VolumeId, device: string) =>
      this.#contents.set(id, { device, bytes: Buffer.alloc(diskBytes), domainName: desired.domainName });
    add(desired.rootDisk.id, 'virtio-disk0');
    content.copy(this.contentOf(desired.rootDisk.id));
    for (const { id } of volumes) add(id, `ua-${id}`);
    return desired;
  }

  contentOf = (id: VolumeId): Buffer => this.#contents.get(id)!.bytes;

  async write(id: VolumeId, offset: number, length: number, pattern: number): Promise<void> {
    await this.#io(id, `write -P ${pattern} ${offset} ${length}`);
    this.contentOf(id).fill(pattern, offset, offset + length);
  }

  async zero(id: VolumeId, offset: number, length: number): Promise<void> {
    await this.#io(id, `write -z -u ${offset} ${length}`);
    this.contentOf(id).fill(0, offset, offset + length);
  }

  async #io(id: VolumeId, command: string): Promise<void> {
    const { domains } = this.host.outside;
    const { device, domainName } = this.#contents.get(id)!;
    const ref = await domains.lookupByName(domainName);
    const line = `qemu-io -d /machine/peripheral/${device}/virtio-backend "${command}"`;
    assert.equal(await domains.humanMonitorCommand(ref, line), '');
  }

  async state({ domainName }: DesiredInstance): Promise<string> {
    const { domains } = this.host.outside;
    const ref = await domains.lookupByName(domainName);
    return observedState(await domains.state(ref)).state;
  }

  lastId = (): BackupId => this.#read.at(-1)!.id;

  /**
   * Makes a backup as far as to what would go to a store, which costs more than all else together: that must be what was on the
   * disks when it began.
   */
  async read(
    { id, uuid, domainName }: DesiredInstance,
    { hook = () => undefined, made = true }: { hook?: Hook; made?: boolean } = {},
  ): Promise<{ fullReason: FullReason | null; bytes: number }> {
    const { host } = this;
    const parent = this.#read.findLast(({ fullReason }) => fullReason !== 'off');
    const sizes = [...this.#contents.keys()].map((disk) => ({ id: disk, sizeBytes: diskBytes }));
    const store = directoryStore(host, '/nowhere');
    const desired: DesiredBackup = {
      ...{ id: newId('backup'), cloudId: host.cloudId, store, instance: { id, uuid, domainName } },
      parent: parent === undefined ? null : { id: parent.id, disks: sizes },
      ...{ full: false, freezes: false, leavesOut: [], kept: parent === undefined ? [] : [parent.id], keepsake: {} },
    };
    const contents = new Map([...this.#contents].map(([disk, { bytes }]) => [disk, Buffer.from(bytes)]));
    const agent = await host.openAgent({
      hook: (step) => {
        hook(step);
        if (step === 'backup-store') throw new Error('it is read');
      },
    });
    for (let isRead = false; !isRead; ) {
      await assert.rejects(agent.makeBackup(desired), ({ message }: Error) => {
        isRead = message === 'it is read';
        return isRead || message === 'killed';
      });
    }
    const storage = await openStorage(host.storagePath);
    const { fullReason, disks } = (await readState(storage, desired.id))!.taken!;
    assert.deepEqual(
      disks.map((disk) => disk.id),
      [...contents.keys()],
    );
    let bytes = 0;
    for (const disk of disks) {
      const content = disk.changes ? Buffer.from(parent!.contents.get(disk.id)!) : Buffer.alloc(diskBytes);
      await withReadDisk({ storage, passphrases: new Map() }, desired.id, disk, undefined, async (open, extents) => {
        for (const { offset, length, zero } of extents) {
          (zero ? Buffer.alloc(length) : await open.read(offset, length)).copy(content, offset);
        }
        bytes += dataBytesOf(extents);
      });
      assert.ok(content.equals(contents.get(disk.id)!), `${disk.id} is as it was`);
    }
    await host.agent.endBackup({ ...desired, made });
    if (made) this.#read.push({ id: desired.id, fullReason, contents });
    return { fullReason, bytes };
  }

  /** Disks as if they had come from a store. @returns what is on them */
  async fetched(id: RestoreId, ids: readonly VolumeId[]): Promise<Buffer[]> {
    const storage = await openStorage(this.host.storagePath);
    await openRestoreFolder(storage, id, this.host.cloudId);
    const contents = ids.map(() => Buffer.concat([randomBytes(mebibyte), Buffer.alloc(diskBytes - mebibyte)]));
    for (const [at, disk] of ids.entries()) {
      const raw = join(backupFolder(storage, id), 'raw');
      await writeFile(raw, contents[at]!);
      await convertDisk({ path: raw, format: 'raw' }, fetchedDisk(storage, id, disk), {});
      await rm(raw);
    }
    return contents;
  }

  /** What is on disks that nobody has. */
  exported(ids: readonly VolumeId[]): Promise<Buffer[]> {
    return Promise.all(
      ids.map(async (id) => {
        const exported = join(this.host.storagePath, `${id}.exported`);
        await this.ceph.run('rbd', ['export', '--no-progress', `${this.ceph.pool}/${id}`, exported]);
        const content = await readFile(exported);
        await rm(exported);
        return content;
      }),
    );
  }

  /** What is in Ceph of disks, whole or not. */
  async images(ids: readonly VolumeId[]): Promise<string[]> {
    const names = JSON.parse(await this.ceph.run('rbd', ['ls', '--format', 'json', this.ceph.pool])) as string[];
    return names.filter((name) => ids.some((id) => name.startsWith(id)));
  }

  async moments(id: VolumeId): Promise<string[]> {
    const text = await this.ceph.run('rbd', ['snap', 'ls', '--format', 'json', `${this.ceph.pool}/${id}`]);
    return (JSON.parse(text) as { name: string }[]).map(({ name }) => name);
  }

  async end(desired: DesiredInstance, ...volumes: DesiredVolume[]): Promise<void> {
    const { agent, cloudId } = this.host;
    await agent.deleteInstance(desired);
    for (const volume of volumes) await agent.deleteVolume(volume);
    for (const copy of await agent.listImageCopies(cloudId)) await agent.deleteImageCopy(copy);
    const ids = [desired.rootDisk.id, ...volumes.map(({ id }) => id)];
    assert.deepEqual(await this.images(ids), []);
  }
}

// One guest on a real host whose disks, the root disk and a volume, have a known pattern, and what is known of its snapshots and
// clones: what each of them must hold. Writes the same to both as the guest would, and compares every disk, byte for byte of the
// pattern, to what was written. Either disk lies in a Ceph cluster when that is asked for.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { InstanceId, SnapshotId, VolumeId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import { readTree } from '@virga/host-agent/libvirt/disks/disk-layers';
import { isLayerName, layerPath } from '@virga/host-agent/libvirt/disks/layer-names';
import { namesIn } from '@virga/host-agent/libvirt/disks/next-merge';
import { readPattern, writeInGuest } from '@virga/host-agent/libvirt/testing/disk-patterns';
import { type Connection, connect } from '@virga/libvirt/connection/connect';
import { type MiniCeph, startMiniCeph } from '@virga/testing/mini-ceph';
import { until } from '@virga/testing/until';
import { type LibvirtCloud, launchOne } from '../libvirt-cloud.ts';
import { succeeded } from '../prepare-cloud.ts';

/** Behind what the guest boots from. */
const firstBlock = 32;
const blocks = 6;
const patience = { timeoutMs: 90_000, intervalMs: 50 };

/** Which disks lie in Ceph. */
export type InCeph = { root: boolean; volume: boolean };

export class DiskWorld {
  readonly setting: LibvirtCloud;
  readonly instance: Instance;
  readonly volumeId: VolumeId;
  /** What is on each of the disks of the guest. */
  current: number[] = Array.from({ length: blocks }, () => 0);
  /** What each snapshot must hold. */
  readonly kept = new Map<SnapshotId, number[]>();
  /** Disks compared. */
  compared = 0;
  readonly #libvirt: Connection;
  readonly #ceph: MiniCeph | undefined;
  readonly #inCeph: InCeph;
  #written = 0;

  static async open(setting: LibvirtCloud, inCeph: InCeph): Promise<DiskWorld> {
    const { client } = setting.cloud;
    const ceph = inCeph.root || inCeph.volume ? await startMiniCeph({ watchSeconds: 5 }) : undefined;
    const pool = ceph && (await openPool(setting, ceph));
    if (pool !== undefined && inCeph.root) setting.spec.pool = pool;
    const instance = await launchOne(setting);
    const { id, hostName: host } = instance;
    const place = pool !== undefined && inCeph.volume ? { pool } : {};
    const { volume } = await client.createVolume({ body: { name: 'data', sizeGib: 1, host, ...place } });
    const isThere = async () => (await client.getVolume({ params: { id: volume.id } })).state === 'available';
    await until('the volume is there', isThere, patience);
    await client.attachVolume({ params: { id }, body: { volume: volume.id } });
    await until(
      'the guest has it',
      async () => (await client.getInstance({ params: { id } })).volumes[0]?.state === 'attached',
      patience,
    );
    const libvirt = await connect({ transport: { kind: 'unix', path: '/run/libvirt/libvirt-sock' } });
    return new DiskWorld(setting, instance, volume.id, { libvirt, ceph, inCeph });
  }

  private constructor(
    setting: LibvirtCloud,
    instance: Instance,
    volumeId: VolumeId,
    { libvirt, ceph, inCeph }: { libvirt: Connection; ceph: MiniCeph | undefined; inCeph: InCeph },
  ) {
    this.setting = setting;
    this.instance = instance;
    this.volumeId = volumeId;
    this.#libvirt = libvirt;
    this.#ceph = ceph;
    this.#inCeph = inCeph;
  }

  async close(): Promise<void> {
    await this.#libvirt.close();
    await this.#ceph?.close();
  }

  /** Writes a byte that was never written before, to the next block of each disk. */
  async write({ domainName } = this.instance, content = this.current, volumeId = this.volumeId): Promise<void> {
    const at = this.#written % blocks;
    const byte = 1 + (this.#written++ % 250);
    const from = firstBlock + at;
    await writeInGuest(this.#libvirt, domainName, [byte], { from });
    await writeInGuest(this.#libvirt, domainName, [byte], { from, device: `ua-${volumeId}` });
    content[at] = byte;
  }

  /** @throws AssertionError something is not where it was, or a file belongs to nothing */
  async compareAll(what: string): Promise<void> {
    if (this.#inCeph.root) await this.compareInCeph(await this.rootDiskId(this.instance.id), what);
    else await this.compareFiles(this.rootOf(this.instance.id), what);
    if (this.#inCeph.volume) await this.compareInCeph(this.volumeId, what);
    else await this.compareFiles(this.fileOf(this.volumeId), what);
    const volumes = readdirSync(join(this.setting.folder, 'storage', 'volumes'));
    assert.deepEqual(volumes, [this.volumeId], `${what}: volumes`);
  }

  private async compareFiles(first: string, what: string): Promise<void> {
    const tree = await readTree(first);
    await this.compare(layerPath(first, tree.current.at(-1)!), this.current, `${what}: ${first}`);
    for (const [id, content] of this.kept) {
      const layers = tree.snapshots[id];
      assert.ok(layers, `${what}: ${id} is lost of ${first}`);
      await this.compare(layerPath(first, layers.at(-1)!), content, `${what}: ${id} of ${first}`);
    }
    const found = readdirSync(dirname(first)).filter((name) => isLayerName(name));
    assert.deepEqual(found.toSorted(), [...namesIn(tree)].toSorted(), `${what}: files of ${first}`);
  }

  private async compareInCeph(image: VolumeId, what: string): Promise<void> {
    await this.compareImage(image, this.current, `${what}: ${image}`);
    for (const [id, content] of this.kept) await this.compareImage(`${image}@${id}`, content, `${what}: ${id}`);
    const { run, pool } = this.#ceph!;
    const listed = JSON.parse(await run('rbd', ['snap', 'ls', '--format', 'json', `${pool}/${image}`]));
    const names = (listed as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(names.toSorted(), [...this.kept.keys()].toSorted(), `${what}: snapshots of ${image}`);
  }

  private async compareImage(name: string, content: readonly number[], what: string): Promise<void> {
    const { run, pool } = this.#ceph!;
    const path = join(this.setting.folder, 'exported.raw');
    rmSync(path, { force: true });
    await run('rbd', ['export', '--no-progress', `${pool}/${name}`, path]);
    await this.compare(path, content, what);
  }

  private async rootDiskId(id: InstanceId): Promise<VolumeId> {
    const { db } = this.setting.cloud.store;
    const row = await db.selectFrom('instances').select('root_disk_id').where('id', '=', id).executeTakeFirstOrThrow();
    return row.root_disk_id;
  }

  /** Images in Ceph, but for copies of those that disks begin as. */
  async inCeph(): Promise<string[]> {
    if (this.#ceph === undefined) return [];
    const { run, pool } = this.#ceph;
    const images = JSON.parse(await run('rbd', ['ls', '--format', 'json', pool])) as string[];
    return images.filter((name) => !name.startsWith('ami-'));
  }

  async compareClone(id: InstanceId, volumeId: VolumeId, content: readonly number[], what: string): Promise<void> {
    const root = this.rootOf(id);
    if (this.#inCeph.root) await this.compareImage(await this.rootDiskId(id), content, what);
    else await this.compare(layerPath(root, (await readTree(root)).current.at(-1)!), content, what);
    await this.compareVolume(volumeId, content, `${what}: its volume`);
  }

  compareVolume(id: VolumeId, content: readonly number[], what: string): Promise<void> {
    const file = this.fileOf(id);
    return existsSync(file) ? this.compare(file, content, what) : this.compareImage(id, content, what);
  }

  private async compare(file: string, content: readonly number[], what: string): Promise<void> {
    this.compared++;
    assert.deepEqual(await readPattern(file, blocks, firstBlock), content, what);
  }

  private fileOf(id: VolumeId): string {
    return join(this.setting.folder, 'storage', 'volumes', id, 'disk.qcow2');
  }

  private rootOf(id: InstanceId): string {
    return join(this.setting.folder, 'storage', 'instances', id, 'root.qcow2');
  }
}

async function openPool({ cloud }: LibvirtCloud, { monitors, pool, user, key }: MiniCeph): Promise<string> {
  const name = 'ceph';
  const made = await cloud.client.createPool({
    body: { name, driver: 'rbd', ceph: { monitors, pool, user, key } },
  });
  await succeeded(cloud, made.operationId);
  return name;
}

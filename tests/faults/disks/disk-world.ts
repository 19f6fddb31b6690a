// One guest on a real host whose disks, the root disk and a volume, have a known pattern, and what is known of its snapshots and
// clones: what each of them must hold. Writes the same to both as the guest would, and compares every disk, byte for byte of the
// pattern, to what was written.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { InstanceId, SnapshotId, VolumeId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import { readTree } from '@virga/host-agent/libvirt/disks/disk-layers';
import { isLayerName, layerPath } from '@virga/host-agent/libvirt/disks/layer-names';
import { namesIn } from '@virga/host-agent/libvirt/disks/next-merge';
import { readPattern, writeInGuest } from '@virga/host-agent/libvirt/testing/disk-patterns';
import { type Connection, connect } from '@virga/libvirt/connection/connect';
import { until } from '@virga/testing/until';
import type { LibvirtCloud } from '../libvirt-cloud.ts';

/** Behind what the guest boots from. */
const firstBlock = 32;
const blocks = 6;
const patience = { timeoutMs: 90_000, intervalMs: 50 };

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
  #written = 0;

  static async open(setting: LibvirtCloud, instance: Instance): Promise<DiskWorld> {
    const { client } = setting.cloud;
    const { id, hostName: host } = instance;
    const { volume } = await client.createVolume({ body: { name: 'data', sizeGib: 1, host } });
    const isThere = async () => (await client.getVolume({ params: { id: volume.id } })).state === 'available';
    await until('the volume is there', isThere, patience);
    await client.attachVolume({ params: { id }, body: { volume: volume.id } });
    await until(
      'the guest has it',
      async () => (await client.getInstance({ params: { id } })).volumes[0]?.state === 'attached',
      patience,
    );
    const libvirt = await connect({ transport: { kind: 'unix', path: '/run/libvirt/libvirt-sock' } });
    return new DiskWorld(setting, instance, volume.id, libvirt);
  }

  private constructor(setting: LibvirtCloud, instance: Instance, volumeId: VolumeId, libvirt: Connection) {
    this.setting = setting;
    this.instance = instance;
    this.volumeId = volumeId;
    this.#libvirt = libvirt;
  }

  close(): Promise<void> {
    return this.#libvirt.close();
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
    for (const first of [this.rootOf(this.instance.id), this.fileOf(this.volumeId)]) {
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
    const volumes = readdirSync(join(this.setting.folder, 'storage', 'volumes'));
    assert.deepEqual(volumes, [this.volumeId], `${what}: volumes`);
  }

  async compareClone(id: InstanceId, volumeId: VolumeId, content: readonly number[], what: string): Promise<void> {
    const root = this.rootOf(id);
    await this.compare(layerPath(root, (await readTree(root)).current.at(-1)!), content, what);
    await this.compareVolume(volumeId, content, `${what}: its volume`);
  }

  compareVolume(id: VolumeId, content: readonly number[], what: string): Promise<void> {
    return this.compare(this.fileOf(id), content, what);
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

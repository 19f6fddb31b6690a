// One guest on a real host whose disk has a known pattern, and what is known of its snapshots and clones: what each of them must
// hold. Writes as the guest would, and compares every disk, byte for byte of the pattern, to what was written.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { InstanceId, SnapshotId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import { readTree } from '@virga/host-agent/libvirt/disks/disk-layers';
import { isLayerName, layerPath } from '@virga/host-agent/libvirt/disks/layer-names';
import { namesIn } from '@virga/host-agent/libvirt/disks/next-merge';
import { readPattern, writeInGuest } from '@virga/host-agent/libvirt/testing/disk-patterns';
import { type Connection, connect } from '@virga/libvirt/connection/connect';
import type { LibvirtCloud } from '../libvirt-cloud.ts';

/** Behind what the guest boots from. */
const firstBlock = 32;
const blocks = 6;

export class DiskWorld {
  readonly setting: LibvirtCloud;
  readonly instance: Instance;
  /** What is on the disk of the guest. */
  current: number[] = Array.from({ length: blocks }, () => 0);
  /** What each snapshot must hold. */
  readonly kept = new Map<SnapshotId, number[]>();
  /** Disks compared. */
  compared = 0;
  readonly #libvirt: Connection;
  #written = 0;

  static async open(setting: LibvirtCloud, instance: Instance): Promise<DiskWorld> {
    return new DiskWorld(
      setting,
      instance,
      await connect({ transport: { kind: 'unix', path: '/run/libvirt/libvirt-sock' } }),
    );
  }

  private constructor(setting: LibvirtCloud, instance: Instance, libvirt: Connection) {
    this.setting = setting;
    this.instance = instance;
    this.#libvirt = libvirt;
  }

  close(): Promise<void> {
    return this.#libvirt.close();
  }

  /** Writes a byte that was never written before, to the next block. */
  async write({ domainName } = this.instance, content = this.current): Promise<void> {
    const at = this.#written % blocks;
    const byte = 1 + (this.#written++ % 250);
    await writeInGuest(this.#libvirt, domainName, [byte], { from: firstBlock + at });
    content[at] = byte;
  }

  /** @throws AssertionError something is not where it was, or a file belongs to nothing */
  async compareAll(what: string): Promise<void> {
    const root = this.rootOf(this.instance.id);
    const tree = await readTree(root);
    await this.compare(layerPath(root, tree.current.at(-1)!), this.current, `${what}: the guest's disk`);
    for (const [id, content] of this.kept) {
      const layers = tree.snapshots[id];
      assert.ok(layers, `${what}: ${id} is lost`);
      await this.compare(layerPath(root, layers.at(-1)!), content, `${what}: ${id}`);
    }
    const found = readdirSync(dirname(root)).filter((name) => isLayerName(name));
    assert.deepEqual(found.toSorted(), [...namesIn(tree)].toSorted(), `${what}: files of the disk`);
  }

  async compareClone(id: InstanceId, content: readonly number[], what: string): Promise<void> {
    const root = this.rootOf(id);
    await this.compare(layerPath(root, (await readTree(root)).current.at(-1)!), content, what);
  }

  private async compare(file: string, content: readonly number[], what: string): Promise<void> {
    this.compared++;
    assert.deepEqual(await readPattern(file, blocks, firstBlock), content, what);
  }

  private rootOf(id: InstanceId): string {
    return join(this.setting.folder, 'storage', 'instances', id, 'root.qcow2');
  }
}

// What a host agent knows of the disks under its storage and of what QEMU can do with them. Looked up anew after a minute,
// because programs of RAID controllers take seconds to answer; whoever is about to refuse something looks at once.
import { join } from 'node:path';
import type { DiskAbilities, FolderDevices, HostDisks, StorageDevice } from '@virga/contract/agent/block-devices';
import type { Clock } from '../clock.ts';
import type { HostSystem } from '../host-system/host-system.ts';
import { protectedDisks } from './disk-protection.ts';
import { folderDevices } from './folder-devices.ts';

export type DiskSight = { devices: StorageDevice[]; abilities: DiskAbilities };

const rememberedMs = 60_000;

export class DiskWatch {
  private readonly system: HostSystem;
  private readonly clock: Clock;
  private readonly storagePath: string;
  private readonly findAbilities: () => Promise<DiskAbilities>;
  private last: { atMs: number; sight: Promise<DiskSight> } | undefined;
  private seen: DiskSight | undefined;

  constructor(options: {
    system: HostSystem;
    clock: Clock;
    storagePath: string;
    findAbilities: () => Promise<DiskAbilities>;
  }) {
    this.system = options.system;
    this.clock = options.clock;
    this.storagePath = options.storagePath;
    this.findAbilities = options.findAbilities;
  }

  /** Every disk of the host, read now. */
  async disks(): Promise<HostDisks> {
    const [disks, storage] = await Promise.all([
      protectedDisks(this.system),
      storageFolder(this.system, this.storagePath),
    ]);
    return { disks, storage };
  }

  /** What lies under the storage, and what can be done there; not older than a minute, or read now. */
  sight({ now = false }: { now?: boolean } = {}): Promise<DiskSight> {
    const atMs = this.clock.now();
    if (!now && this.last !== undefined && atMs - this.last.atMs < rememberedMs) return this.last.sight;
    const sight = this.look();
    const last = { atMs, sight };
    this.last = last;
    sight.then(
      (seen) => {
        this.seen = seen;
      },
      () => {
        if (this.last === last) this.last = undefined;
      },
    );
    return sight;
  }

  /** What was seen last, at once: a program that hangs holds nobody up but the first who asks. It is looked again meanwhile. */
  async lately(): Promise<DiskSight> {
    const { seen } = this;
    const sight = this.sight();
    return seen ?? sight;
  }

  private async look(): Promise<DiskSight> {
    const [{ disks, storage }, abilities] = await Promise.all([this.disks(), this.findAbilities()]);
    return { devices: storageDevices({ disks, storage }), abilities };
  }
}

/** The storage, and what of it may lie on a disk of its own. */
async function storageFolder(system: HostSystem, path: string): Promise<FolderDevices> {
  const [storage, ...parts] = await Promise.all(
    [path, join(path, 'instances'), join(path, 'volumes')].map((folder) => folderDevices(system, folder)),
  );
  const all = [storage!, ...parts];
  const devices = [...new Set(all.flatMap((folder) => folder.devices))];
  return {
    ...storage!,
    devices,
    through: [...new Set(all.flatMap(({ through }) => through))],
    why: devices.length === 0 ? storage!.why : null,
  };
}

export function storageDevices({ disks, storage }: HostDisks): StorageDevice[] {
  return disks
    .filter(({ name }) => storage.devices.includes(name))
    .map(({ name, id, class: kind, protection: { verdict, why, allowsWriteback } }) => ({
      name,
      id,
      class: kind,
      verdict,
      why,
      allowsWriteback,
    }));
}

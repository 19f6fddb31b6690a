// What rests on what: partitions, md, device mapper (LVM, encryption, multipath), bcache and loop devices, down to the disks.
// Reads the kernel's `slaves` folders; no program is asked.
import type { HostSystem } from '../host-system/host-system.ts';

const blockFolder = '/sys/block';

export interface BlockLayers {
  /** Name of the device or partition with this number, such as 8:1. */
  named(majorMinor: string): string | undefined;
  /** Whether there is a device or partition of this name. */
  has(name: string): boolean;
  /** The layers that rest on a disk or on a partition of it, from below to above. */
  above(disk: string): string[];
  /**
   * What a device or partition rests on: the disks at the bottom, and the layers between.
   * @returns a file in place of disks for a loop device
   */
  below(name: string): Promise<{ disks: string[]; through: string[]; files: string[] }>;
}

export async function blockLayers(system: HostSystem): Promise<BlockLayers> {
  /** Disk of each device and partition: itself or the one that it is a part of. */
  const diskOf = new Map<string, string>();
  const byNumber = new Map<string, string>();
  const slaves = new Map<string, string[]>();
  await Promise.all(
    (await system.list(blockFolder)).map(async (disk) => {
      const folder = `${blockFolder}/${disk}`;
      const parts = (await system.list(folder)).filter((name) => name !== disk && name.startsWith(disk));
      for (const name of [disk, ...parts]) {
        diskOf.set(name, disk);
        const number = (await system.read(name === disk ? `${folder}/dev` : `${folder}/${name}/dev`))?.trim();
        if (number !== undefined) byNumber.set(number, name);
      }
      slaves.set(disk, await system.list(`${folder}/slaves`));
    }),
  );
  const restsOn = (name: string): string[] => (slaves.get(name) ?? []).map((part) => diskOf.get(part) ?? part);

  return {
    named: (majorMinor) => byNumber.get(majorMinor),
    has: (name) => diskOf.has(name),
    above(disk) {
      const found = new Set<string>();
      for (let last = [disk]; last.length > 0; ) {
        last = [...slaves.keys()].filter((name) => !found.has(name) && restsOn(name).some((on) => last.includes(on)));
        for (const name of last.sort()) found.add(name);
      }
      return [...found];
    },
    async below(name) {
      const [disks, through, files] = [new Set<string>(), new Set<string>(), new Set<string>()];
      const seen = new Set<string>();
      const waiting = [diskOf.get(name) ?? name];
      for (let device = waiting.shift(); device !== undefined; device = waiting.shift()) {
        if (seen.has(device)) continue;
        seen.add(device);
        const file = (await system.read(`${blockFolder}/${device}/loop/backing_file`))?.trim();
        if (file !== undefined) files.add(file);
        const under = restsOn(device);
        if (file === undefined && under.length === 0) disks.add(device);
        else through.add(device);
        waiting.push(...under);
      }
      return { disks: [...disks].sort(), through: [...through], files: [...files] };
    },
  };
}

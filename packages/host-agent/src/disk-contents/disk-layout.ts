// What a disk is divided into, and which file system each part has, as sfdisk and blkid read it in the sandbox. Decides
// nothing about what is in them.
import { CommandFailed } from '../run-command.ts';
import type { RawDisk } from './raw-disk.ts';

export type DiskPart = {
  /** From 1; 0: the whole disk, which has no partition table. */
  number: number;
  offsetBytes: number;
  sizeBytes: number | null;
  name: string | null;
  /** Such as `ext4`, `xfs`, `swap`, `crypto_LUKS`, `LVM2_member`; null: nothing that is known. */
  fileSystem: string | null;
  label: string | null;
};
export type DiskLayout = { table: string | null; parts: DiskPart[] };

type Table = {
  label: string;
  sectorsize?: number;
  partitions?: { node: string; start: number; size: number; name?: string }[];
};

export async function readLayout(disk: RawDisk): Promise<DiskLayout> {
  // The boot sector of a boot loader in a file system that has the whole disk, as of Alpine, looks like a table to sfdisk.
  const { isDivided, ...found } = await probe(disk, 0, null);
  const table = isDivided || found.fileSystem === null ? await readTable(disk) : undefined;
  if (table === undefined) {
    const whole = { number: 0, offsetBytes: 0, sizeBytes: null, name: null };
    return { table: null, parts: [{ ...whole, ...found }] };
  }
  const sectorBytes = table.sectorsize ?? 512;
  const parts: DiskPart[] = [];
  for (const { node, start, size, name } of table.partitions ?? []) {
    const offsetBytes = start * sectorBytes;
    const sizeBytes = size * sectorBytes;
    const number = Number(/\d+$/.exec(node)?.[0] ?? 0);
    const { isDivided: _, ...has } = await probe(disk, offsetBytes, sizeBytes);
    parts.push({ number, offsetBytes, sizeBytes, name: name ?? null, ...has });
  }
  return { table: table.label, parts };
}

async function readTable(disk: RawDisk): Promise<Table | undefined> {
  try {
    return JSON.parse((await disk.run('sfdisk', ['--json', disk.path])).toString()).partitiontable as Table;
  } catch (error) {
    // It has no partition table that is known.
    if (error instanceof CommandFailed && error.exitCode === 1) return undefined;
    throw error;
  }
}

/** blkid's codes for nothing found, and for more than one thing found. */
const nothing = [0, 2, 8];

async function probe(disk: RawDisk, offsetBytes: number, sizeBytes: number | null) {
  const size = sizeBytes === null ? [] : ['--size', String(sizeBytes)];
  const args = ['--probe', '--offset', String(offsetBytes), ...size, '--output', 'export', disk.path];
  const text = (await disk.run('blkid', args, { acceptedCodes: nothing })).toString();
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? null;
  return { fileSystem: value('TYPE'), label: value('LABEL'), isDivided: value('PTTYPE') !== null };
}

// Finds the root file system on a disk and opens it: by programs of the host where they can read it, else in the appliance. Owns
// which is which, and the sentence for what cannot be looked into.
import { Appliance, type ApplianceKit } from './appliance.ts';
import type { DiskContents, RootContents } from './disk-contents.ts';
import { type DiskLayout, readLayout } from './disk-layout.ts';
import { ExtContents, extFileSystems } from './ext-contents.ts';
import type { RawDisk } from './raw-disk.ts';
import { SystemContents } from './system-contents.ts';

export type OpenContents = {
  layout: DiskLayout;
  root: RootContents;
  /** What is at /boot, when that is a file system of its own; else the root. */
  boot: DiskContents;
  bootPath: '/boot' | '';
};
export type Unreadable = { layout: DiskLayout; why: string };

export type ContentsOptions = {
  epochSeconds?: number | undefined;
  /** Asked for when a disk has a file system that programs of the host do not read; without it such a disk is unreadable. */
  appliance?: (() => Promise<ApplianceKit>) | undefined;
};

/** Where the appliance finds file systems that the host's programs do not read. */
const applianceReads: readonly string[] = ['xfs', 'btrfs', 'LVM2_member'];

export async function openContents(
  disk: RawDisk,
  { appliance, ...options }: ContentsOptions = {},
): Promise<OpenContents | Unreadable> {
  const layout = await readLayout(disk);
  const opened: ExtContents[] = [];
  for (const { fileSystem, offsetBytes } of layout.parts) {
    if (fileSystem === null || !extFileSystems.includes(fileSystem)) continue;
    opened.push(new ExtContents(disk, { fileSystem, offsetBytes, ...options }));
  }
  let root: ExtContents | undefined;
  for (const contents of opened) {
    if (root === undefined && (await isRoot(contents))) root = contents;
  }
  const found = layout.parts.map(({ fileSystem }) => fileSystem).filter((name) => name !== null);
  if (root === undefined) {
    return appliance && found.some((name) => applianceReads.includes(name))
      ? openInAppliance(disk, layout, found, appliance)
      : { layout, why: whyNot(found) };
  }
  if (appliance && (await isSpread(root))) return openInAppliance(disk, layout, found, appliance);
  for (const boot of opened) {
    if (boot === root) continue;
    const names = (await boot.list('/')).map(({ name }) => name);
    if (names.some((name) => ['grub', 'grub2', 'loader'].includes(name))) return { layout, root, boot, bootPath: '' };
  }
  return { layout, root, boot: root, bootPath: '/boot' };
}

async function openInAppliance(
  disk: RawDisk,
  layout: DiskLayout,
  found: readonly string[],
  appliance: NonNullable<ContentsOptions['appliance']>,
): Promise<OpenContents | Unreadable> {
  const root = await SystemContents.open(await Appliance.start(disk, await appliance()));
  return Array.isArray(root)
    ? { layout, why: noRoot(root.length > 0 ? root : found) }
    : { layout, root, boot: root, bootPath: '/boot' };
}

async function isRoot(contents: DiskContents): Promise<boolean> {
  const names = (await contents.list('/')).map(({ name }) => name);
  return names.includes('etc') && (names.includes('usr') || names.includes('bin'));
}

/** Such as a /home or /var with a file system of its own, where a machine leaves most. */
async function isSpread(root: DiskContents): Promise<boolean> {
  const fstab = (await root.read('/etc/fstab'))?.toString() ?? '';
  return fstab.split('\n').some((line) => {
    const [what = '', where = '', type = ''] = line.trim().split(/\s+/);
    const isOnDisk = /^(LABEL|UUID|PARTLABEL|PARTUUID)=|^\/dev\//.test(what) && /^(ext[234]|xfs|btrfs)$/.test(type);
    return isOnDisk && where.startsWith('/') && where !== '/' && where !== '/boot';
  });
}

const noRoot = (found: readonly string[]): string =>
  `none of its file systems (${found.join(', ')}) is the root of a Linux`;

function whyNot(found: readonly string[]): string {
  if (found.length === 0) return 'no file system was found on the disk';
  if (found.some((name) => extFileSystems.includes(name))) return noRoot(found);
  const readable = [...extFileSystems, ...applianceReads].join(', ');
  return `its file systems are ${found.join(', ')}, and only ${readable} can be looked into`;
}

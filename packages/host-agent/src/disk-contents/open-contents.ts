// Finds the root file system on a disk and opens it. Owns which file systems can be read, and the sentence for those that
// cannot.
import type { DiskContents } from './disk-contents.ts';
import { type DiskLayout, readLayout } from './disk-layout.ts';
import { ExtContents, extFileSystems } from './ext-contents.ts';
import type { RawDisk } from './raw-disk.ts';

export type OpenContents = {
  layout: DiskLayout;
  root: ExtContents;
  /** What is at /boot, when that is a file system of its own; else the root. */
  boot: DiskContents;
  bootPath: '/boot' | '';
};
export type Unreadable = { layout: DiskLayout; why: string };

export async function openContents(
  disk: RawDisk,
  options: { epochSeconds?: number | undefined } = {},
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
  if (root === undefined) return { layout, why: whyNot(layout) };
  for (const boot of opened) {
    if (boot === root) continue;
    const names = (await boot.list('/')).map(({ name }) => name);
    if (names.some((name) => ['grub', 'grub2', 'loader'].includes(name))) return { layout, root, boot, bootPath: '' };
  }
  return { layout, root, boot: root, bootPath: '/boot' };
}

async function isRoot(contents: DiskContents): Promise<boolean> {
  const names = (await contents.list('/')).map(({ name }) => name);
  return names.includes('etc') && (names.includes('usr') || names.includes('bin'));
}

function whyNot({ parts }: DiskLayout): string {
  const found = parts.map(({ fileSystem }) => fileSystem).filter((name) => name !== null);
  if (found.length === 0) return 'no file system was found on the disk';
  if (found.some((name) => extFileSystems.includes(name))) {
    return `none of its file systems (${found.join(', ')}) is the root of a Linux`;
  }
  return `its file systems are ${found.join(', ')}, and only ${extFileSystems.join(', ')} can be looked into`;
}

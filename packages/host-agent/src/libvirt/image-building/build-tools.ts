// The programs that images are made and looked into with, asked for before anything is begun.
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';

/** By program: the Debian package that has it. */
const contentTools = {
  debugfs: 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  e2image: 'e2fsprogs',
  sfdisk: 'fdisk',
  blkid: 'util-linux',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  'qemu-img': 'qemu-utils',
  'qemu-storage-daemon': 'qemu-system-common',
};
const recipeTools = {
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  'mkfs.vfat': 'dosfstools',
  mcopy: 'mtools',
  'grub-mkimage': 'grub-common',
};
const recipeFiles = {
  '/usr/lib/grub/i386-pc/boot.img': 'grub-pc-bin',
  '/usr/lib/grub/x86_64-efi/moddep.lst': 'grub-efi-amd64-bin',
};

export const requireContentTools = (): Promise<void> => requireAll(contentTools, {});
export const requireBuildTools = (): Promise<void> => requireAll({ ...contentTools, ...recipeTools }, recipeFiles);

async function requireAll(programs: Record<string, string>, files: Record<string, string>): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new VirgaError('HostUnavailable', {
      detail: 'Looking into disks needs namespaces of its own, which only root may make.',
      action: 'Run the host agent as root.',
    });
  }
  const folders = (process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin').split(':');
  const missing: [string, string][] = [];
  for (const [program, name] of Object.entries(programs)) {
    const there = await Promise.all(folders.map((folder) => isThere(join(folder, program), constants.X_OK)));
    if (!there.includes(true)) missing.push([program, name]);
  }
  for (const [path, name] of Object.entries(files))
    if (!(await isThere(path, constants.R_OK))) missing.push([path, name]);
  if (missing.length === 0) return;
  throw new VirgaError('HostUnavailable', {
    detail: `Missing on the host: ${missing.map(([what]) => what).join(', ')}.`,
    action: `Install them: apt-get install ${[...new Set(missing.map(([, name]) => name))].join(' ')}`,
  });
}

const isThere = (path: string, mode: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );

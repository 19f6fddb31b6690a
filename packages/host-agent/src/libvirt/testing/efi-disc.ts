// A disc for tests that UEFI boots: GRUB with one entry that greets, started by Debian's shim, which Microsoft has signed,
// or bare, which nobody has. Needs mtools and genisoimage, and the packages that the files are of.
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../run-command.ts';

/** Printed by GRUB on the console of the firmware. */
export const efiGreeting = 'grub booted';

const folders = { shim: '/usr/lib/shim', signed: '/usr/lib/grub/x86_64-efi-signed', plain: '/usr/lib/grub/x86_64-efi' };
const loaders = {
  signed: {
    'BOOTX64.EFI': join(folders.shim, 'shimx64.efi.signed'),
    'GRUBX64.EFI': join(folders.signed, 'gcdx64.efi.signed'),
  },
  unsigned: { 'BOOTX64.EFI': join(folders.plain, 'monolithic/gcdx64.efi') },
};
const kibibyte = 1024;

export async function makeEfiDisc(path: string, kind: keyof typeof loaders): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-efi-disc.'));
  try {
    const content = join(folder, 'content');
    await mkdir(join(content, 'boot/grub'), { recursive: true });
    await writeFile(join(content, 'boot/grub/grub.cfg'), `echo ${efiGreeting}\nsleep 600\n`);
    await makeEspImage(join(content, 'boot/efi.img'), loaders[kind]);
    const boot = ['-eltorito-alt-boot', '-e', 'boot/efi.img', '-no-emul-boot'];
    await runCommand('genisoimage', ['-quiet', '-R', '-V', 'EFI-DISC', ...boot, '-o', path, content]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A FAT file system with the loaders where firmware looks for them. */
async function makeEspImage(path: string, files: Record<string, string>): Promise<void> {
  const sizes = await Promise.all(Object.values(files).map(async (file) => (await stat(file)).size));
  const sizeKib = Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / kibibyte) + 1024;
  await writeFile(path, Buffer.alloc(sizeKib * kibibyte));
  await runCommand('mformat', ['-i', path, '-v', 'ESP', '::']);
  await runCommand('mmd', ['-i', path, '::/EFI', '::/EFI/BOOT']);
  for (const [name, file] of Object.entries(files))
    await runCommand('mcopy', ['-i', path, file, `::/EFI/BOOT/${name}`]);
}

// Makes a disk of a root folder without a loop device and without a mount: GPT, an ext4 root with the label `root`, and GRUB for
// BIOS and for UEFI, which starts /vmlinuz with /initrd.img. Owns the layout. The same folder makes the same disk: ids follow
// from the name that they are derived from, and nothing is newer than the time that is given.
import { createHash } from 'node:crypto';
import { chmod, chown, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageRecipe } from '@virga/contract/agent/image-recipe';
import { runCommand } from '../run-command.ts';
import { builderUid, runAsBuilder } from './builder-namespace.ts';

type Boot = NonNullable<ImageRecipe['boot']>;
export type DiskPlan = {
  /** The folder, whose owner is the builder. */
  root: string;
  sizeMib: number;
  boot: Boot;
  kernelArguments: readonly string[];
  epochSeconds: number;
  /** What ids are derived from. */
  seed: string;
  signal?: AbortSignal | undefined;
};

const sectorBytes = 512;
const mib = 1024 * 1024;
const biosFirst = 2048;
const biosSectors = 2048;
const espFirst = 4096;
const espSectors = 8192;
const rootFirst = espFirst + espSectors;
/** The backup of the partition table at the end. */
const endSectors = 34;
const makeMs = 1_800_000;

/** @returns the file in `folder` with the disk, raw, and where its root begins */
export async function makeRecipeDisk(
  folder: string,
  plan: DiskPlan,
): Promise<{ path: string; rootOffsetBytes: number }> {
  const { root, sizeMib, boot, epochSeconds, signal } = plan;
  const path = join(folder, 'disk.raw');
  await writeFile(path, '');
  await truncate(path, sizeMib * mib);
  const lastSector = Math.floor((sizeMib * mib) / sectorBytes) - endSectors;
  const rootSectors = Math.floor((lastSector - rootFirst) / 2048) * 2048;
  const id = (name: string) => uuid(`${plan.seed} ${name}`);
  const table = [
    'label: gpt',
    `label-id: ${id('disk')}`,
    `start=${biosFirst}, size=${biosSectors}, type=21686148-6449-6E6F-744E-656564454649, name=bios, uuid=${id('bios')}`,
    `start=${espFirst}, size=${espSectors}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp, uuid=${id('esp')}`,
    `start=${rootFirst}, size=${rootSectors}, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root, uuid=${id('root')}`,
  ];
  const tablePath = join(folder, 'table');
  await writeFile(tablePath, `${table.join('\n')}\n`);
  await runCommand('sh', ['-c', 'sfdisk --quiet "$1" <"$2"', 'sh', path, tablePath], { signal, package: 'fdisk' });
  if (boot !== 'none') await addLoaders(folder, path, plan);

  await chown(path, builderUid, builderUid);
  const rootOffsetBytes = rootFirst * sectorBytes;
  // A journal does not grow with its file system, so it is made for what comes.
  const journalMib = Math.min(64, Math.max(4, Math.floor(sizeMib / 16)));
  // Room for the group descriptors of 64 GiB comes for free; more is found when it grows.
  const extended = `offset=${rootOffsetBytes},hash_seed=${id('hash')},root_owner=0:0,resize=16777216`;
  const args = [
    ...[
      'mke2fs',
      '-q',
      '-F',
      '-t',
      'ext4',
      '-b',
      '4096',
      '-I',
      '256',
      '-L',
      'root',
      '-m',
      '1',
      '-J',
      `size=${journalMib}`,
    ],
    ...['-d', root, '-U', id('filesystem'), '-E', extended, path, `${rootSectors / 2}k`],
  ];
  const env = { SOURCE_DATE_EPOCH: String(epochSeconds), E2FSPROGS_FAKE_TIME: String(epochSeconds) };
  await runAsBuilder(args, { env, signal, timeoutMs: makeMs });
  // The time at which an inode changed cannot be set in a folder, and reading sets that of access: so both on the disk.
  const times = join(folder, 'times');
  const fields = ['ctime', 'atime', 'crtime']
    .map((field) => `set_inode_field \\"/%P\\" ${field} @${epochSeconds}\\n`)
    .join('');
  await runCommand('sh', ['-c', `find "$1" ! -path '*"*' -printf "${fields}" >"$2"`, 'sh', root, times], { signal });
  await chmod(times, 0o644);
  const set = ['sh', '-c', 'debugfs -w -f "$1" "$2" >/dev/null 2>&1', 'sh', times, `${path}?offset=${rootOffsetBytes}`];
  await runAsBuilder(set, { env, signal, timeoutMs: makeMs });
  await chown(path, 0, 0);
  return { path, rootOffsetBytes };
}

/** Puts a kernel's place and its arguments into the root: run before the disk is made. */
export async function writeBootConfiguration({ root, kernelArguments, epochSeconds, signal }: DiskPlan): Promise<void> {
  // ttyS0 comes last, so that it is /dev/console. Cards are eth0, eth1, … in the order of the machine.
  const line = [
    'root=LABEL=root',
    'rw',
    'net.ifnames=0',
    'console=tty0',
    'console=ttyS0,115200',
    ...kernelArguments,
  ].join(' ');
  const script = `set -eu
root=$1
for name in vmlinuz initrd.img; do
  [ -e "$root/$name" ] || [ -L "$root/$name" ] || {
    newest=$(cd "$root/boot" && ls -1 "$name"-* | sort -V | tail -n 1)
    ln -s "boot/$newest" "$root/$name"
  }
done
mkdir -p "$root/boot/grub"
printf '%s' "$configuration" >"$root/boot/grub/grub.cfg"
[ -s "$root/etc/fstab" ] && ! grep -q UNCONFIGURED "$root/etc/fstab" ||
  echo 'LABEL=root / ext4 defaults,discard,errors=remount-ro 0 1' >"$root/etc/fstab"
touch --no-dereference --date="@$2" "$root" "$root/boot" "$root/boot/grub" "$root/boot/grub/grub.cfg" "$root/vmlinuz" "$root/initrd.img" \\
  "$root/etc" "$root/etc/fstab"
`;
  // From BIOS the kernel is started by the 16-bit protocol, which leaves it where it was read to: the 32-bit one moves it, and
  // that takes two seconds on an emulated processor.
  const configuration = `if [ "$grub_platform" = pc ]; then
  linux16 /vmlinuz ${line}
  initrd16 /initrd.img
else
  linux /vmlinuz ${line}
  initrd /initrd.img
fi
boot
`;
  await runAsBuilder(['sh', '-c', script, 'sh', root, String(epochSeconds)], { env: { configuration }, signal });
}

const grubModules = ['part_gpt', 'ext2', 'search', 'search_label', 'configfile', 'normal', 'test', 'boot'];
const earlyConfiguration = `search --no-floppy --label root --set=root
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
`;

async function addLoaders(folder: string, disk: string, { boot, signal, epochSeconds }: DiskPlan): Promise<void> {
  const early = join(folder, 'early.cfg');
  await writeFile(early, earlyConfiguration);
  const grub = (format: string, output: string, modules: readonly string[]) =>
    runCommand(
      'grub-mkimage',
      ['-O', format, '-p', '/boot/grub', '-c', early, '-o', output, ...grubModules, ...modules],
      { signal, package: format === 'i386-pc' ? 'grub-pc-bin' : 'grub-efi-amd64-bin' },
    );
  if (boot === 'bios' || boot === 'both') {
    const core = join(folder, 'core.img');
    await grub('i386-pc', core, ['biosdisk', 'linux16']);
    await addBiosLoader(
      disk,
      await readFile(core),
      (await readFile('/usr/lib/grub/i386-pc/boot.img')).subarray(0, 440),
    );
  }
  if (boot === 'uefi' || boot === 'both') {
    const efi = join(folder, 'BOOTX64.EFI');
    await grub('x86_64-efi', efi, ['fat', 'efi_gop', 'linux']);
    const esp = join(folder, 'esp');
    const script = `set -eu
export SOURCE_DATE_EPOCH=$3
touch --date="@$3" "$2"
rm -f "$1"
mkfs.vfat --invariant -n ESP -C "$1" ${espSectors / 2} >/dev/null
mmd -i "$1" ::EFI ::EFI/BOOT
mcopy -m -i "$1" "$2" ::EFI/BOOT/`;
    await runCommand('sh', ['-c', script, 'sh', esp, efi, String(epochSeconds)], {
      signal,
      package: 'mtools dosfstools',
    });
    await patch(disk, espFirst * sectorBytes, await readFile(esp));
  }
}

/**
 * What grub-install does: the boot sector says where the core begins, the core where its own rest is.
 * @see GNU GRUB, include/grub/i386/pc/boot.h and grub-core/boot/i386/pc/diskboot.S
 */
async function addBiosLoader(disk: string, core: Buffer, bootSector: Buffer): Promise<void> {
  const coreSectors = Math.ceil(core.length / sectorBytes);
  if (coreSectors > biosSectors) throw new Error('the core of GRUB outgrew its partition');
  bootSector.writeBigUInt64LE(BigInt(biosFirst), 0x5c);
  bootSector[0x64] = 0xff; // the drive that the BIOS booted
  bootSector.fill(0x90, 0x66, 0x68); // no search for floppies
  core.writeBigUInt64LE(BigInt(biosFirst + 1), 0x1f4);
  core.writeUInt16LE(coreSectors - 1, 0x1fc);
  core.writeUInt16LE(0x820, 0x1fe); // segment to load to
  await patch(disk, 0, bootSector);
  await patch(disk, biosFirst * sectorBytes, core);
}

async function patch(path: string, offset: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(bytes, 0, bytes.length, offset);
  } finally {
    await file.close();
  }
}

/** An id that is made from a name, of version 4 in its shape. */
function uuid(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

// Encrypted disks in Ceph: LUKS as QEMU makes it, below what the guest sees, so that Ceph has nothing of it in the clear. A header
// of one size lies before the content, and what was never written reads as noise. The key is known to QEMU alone.
// @see https://gitlab.com/qemu-project/qemu/-/blob/master/crypto/block-luks.c
import { keepTrying, qemuImg, sourceOf } from './disk-files.ts';
import { type DiskWork, keyId, type NewDisk } from './pool-driver.ts';

/** With keys of 512 bits, as AES-256 in XTS has them. */
export const luksHeaderBytes = 2_068_480;
/** A passphrase of 256 random bits needs no stretching. */
const luksOptions = `key-secret=${keyId},cipher-alg=aes-256,cipher-mode=xts,iter-time=50`;

/** How large an image of Ceph is that has so much in it. */
export const imageBytes = (sizeBytes: number, encrypted: boolean): number =>
  encrypted ? sizeBytes + luksHeaderBytes : sizeBytes;

/** How much an image of that size has in it. */
export const contentBytes = (imageSize: number, encrypted: boolean): number =>
  encrypted ? imageSize - luksHeaderBytes : imageSize;

export type NewLuks = {
  /** As programs of QEMU's are told to make it, and to open it with the key. */
  name: string;
  options: string;
  passphrase: string;
  /** Removes what an attempt has left. */
  remove(): Promise<void>;
};

/** @throws CommandFailed */
export async function makeLuks(
  { name, options, passphrase, remove }: NewLuks,
  { sizeBytes, source }: NewDisk,
  work: DiskWork,
): Promise<void> {
  const size = Math.max(sizeBytes, source?.image.virtualSizeBytes ?? 0);
  await keepTrying(async () => {
    await remove();
    await qemuImg(['create', '-q', '-f', 'luks', '-o', luksOptions, name, String(size)], work, passphrase);
  });
  if (source === undefined) return;
  const { how, name: from, keys } = sourceOf(source.image);
  const convert = ['convert', '-q', '-n', ...(source.image.isLayer ? ['-U'] : []), ...how, '--target-image-opts'];
  await qemuImg([...convert, from, options], work, { [keyId]: passphrase, ...keys });
}

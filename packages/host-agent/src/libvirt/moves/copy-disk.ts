// Copies the disk of a volume that no guest writes to into one that has been made for it. Takes no lock of QEMU's, so that a
// guest may start meanwhile: who calls it finds out whether one has. Ends with the signal, and with us.
import { open } from 'node:fs/promises';
import type { CallContext } from '@virga/contract/agent/agent';
import { withSecretFile } from '../../secret-file.ts';
import { runConvert } from '../disks/convert-disk.ts';
import { keyId } from '../pools/pool-driver.ts';
import type { MovePlace } from './move-places.ts';

export type DiskCopy = {
  /** Told with the progress. */
  what: string;
  from: MovePlace;
  to: MovePlace;
  /** Of both. */
  passphrase?: string | undefined;
  /** Nothing but zeroes is read from the new one. */
  isBlank: boolean;
  bandwidthBytesPerSecond?: number | undefined;
};

/** @throws CommandFailed */
export async function copyDisk(copy: DiskCopy, call: CallContext): Promise<void> {
  const { what, from, to, passphrase, isBlank, bandwidthBytesPerSecond: rate } = copy;
  const how = ['-U', '-W', '-n', ...(isBlank ? ['--target-is-zero'] : []), ...(rate ? ['-r', String(rate)] : [])];
  const convert = (key: readonly string[]) =>
    from.withImage((source) =>
      to.withImage((target) =>
        runConvert([...key, ...how, '--image-opts', '--target-image-opts', source, target], what, call),
      ),
    );
  if (passphrase === undefined) await convert([]);
  else await withSecretFile(passphrase, (path) => convert(['--object', `secret,id=${keyId},file=${path}`]));
  if (!to.isFile) return;
  // The program leaves that to the kernel.
  await using file = await open(to.name, 'r+');
  await file.datasync();
}

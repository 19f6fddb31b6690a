// Copies the disk of a volume that no guest writes to into one that has been made for it. Takes no lock of QEMU's, so that a
// guest may start meanwhile: who calls it finds out whether one has. Ends with the signal, and with us.
import { open } from 'node:fs/promises';
import type { CallContext } from '@virga/contract/agent/agent';
import { withSecretFile } from '../../secret-file.ts';
import { runConvert } from '../disks/convert-disk.ts';

export type CopiedDisk = { path: string; format: 'qcow2' | 'raw' };

export type DiskCopy = {
  from: CopiedDisk;
  to: CopiedDisk;
  /** Of both. */
  passphrase?: string | undefined;
  /** Nothing but zeroes is read from the new one. */
  isBlank: boolean;
  bandwidthBytesPerSecond?: number | undefined;
};

const keyId = 'key';
const message = 'copying the volume';

/** @throws CommandFailed */
export async function copyDisk(copy: DiskCopy, call: CallContext): Promise<void> {
  const { from, to, passphrase, isBlank, bandwidthBytesPerSecond: rate } = copy;
  const how = ['-U', '-W', '-n', ...(isBlank ? ['--target-is-zero'] : []), ...(rate ? ['-r', String(rate)] : [])];
  if (passphrase === undefined) {
    await runConvert([...how, '-f', from.format, '-O', to.format, from.path, to.path], message, call);
  } else {
    await withSecretFile(passphrase, (path) =>
      runConvert(
        [
          ...['--object', `secret,id=${keyId},file=${path}`],
          ...[...how, '--image-opts', '--target-image-opts', opened(from), opened(to)],
        ],
        message,
        call,
      ),
    );
  }
  // The program leaves that to the kernel.
  await using file = await open(to.path, 'r+');
  await file.datasync();
}

const opened = ({ path, format }: CopiedDisk): string =>
  `driver=${format},file.filename=${path.replaceAll(',', ',,')},encrypt.key-secret=${keyId}`;

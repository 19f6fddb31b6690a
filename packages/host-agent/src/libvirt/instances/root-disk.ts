// The root disk of an instance: a qcow2 overlay on its image, so that cloning takes the same time for any size; or an empty
// one, to install on. Owns the file from nothing to named; what a crash leaves under the temporary name the next try
// overwrites.
import { rm } from 'node:fs/promises';
import { finishFile, partialPath } from '../../durable-file.ts';
import { runCommand } from '../../run-command.ts';

export type BaseImage = {
  path: string;
  format: 'qcow2' | 'raw';
  virtualSizeBytes: number;
  /** It is a file of another disk, which its guest's QEMU owns while that runs. */
  isLayer?: boolean | undefined;
  /** It is encrypted, as is all that it rests on. */
  passphrase?: string | undefined;
  /** It is no file: options by which programs of QEMU's find what is in it. */
  remote?: string;
  /** What it rests on in turn. */
  base?: BaseImage | undefined;
};

const diskMode = 0o600;

/**
 * Makes a disk whose content is that of the image, or nothing. Its size is the larger of what is asked for and the image's.
 * @throws CommandFailed qemu-img could not
 */
export async function makeDisk(
  path: string,
  base: BaseImage | null,
  sizeBytes: number,
  { signal, beforeRename }: { signal?: AbortSignal | undefined; beforeRename?: () => void | Promise<void> } = {},
): Promise<void> {
  const partial = partialPath(path);
  await rm(partial, { force: true });
  const size = String(Math.max(sizeBytes, base?.virtualSizeBytes ?? 0));
  // The format of the base is stated, never guessed. -u: the base was checked when it came in, so it need not be opened.
  const backing = base === null ? [] : ['-u', '-F', base.format, '-b', base.path];
  const args = ['create', '-q', '-f', 'qcow2', ...backing, partial, size];
  await runCommand('qemu-img', args, { signal, package: 'qemu-utils' });
  await beforeRename?.();
  await finishFile(path, diskMode);
}

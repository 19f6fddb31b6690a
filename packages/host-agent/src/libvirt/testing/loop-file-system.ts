// A file system of its own for a test, in a sparse file: of a kind that the kernel may not have. It ends with the test run's
// mounts at the latest.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../run-command.ts';

const makers = {
  ext4: ['mkfs.ext4', '-q'],
  // No journal device, and small: the tests look at blocks, not at speed.
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
  btrfs: ['mkfs.btrfs', '-q'],
} as const;
export type LoopKind = keyof typeof makers;

/** `file`: what it lies in. */
export type LoopFileSystem = { path: string; file: string; close(): Promise<void> };

/** @returns why there is none, when the kernel does not have it or gives no loop device */
export async function mountLoop(kind: LoopKind, sizeMib: number): Promise<LoopFileSystem | string> {
  const folder = await mkdtemp(join(tmpdir(), `virga-${kind}.`));
  const [file, path] = [join(folder, 'disk'), join(folder, 'mounted')];
  const [maker, ...options] = makers[kind];
  await runCommand('truncate', ['--size', `${sizeMib}M`, file]);
  await runCommand(maker, [...options, file]);
  await runCommand('mkdir', ['-m', '711', path]);
  await runCommand('chmod', ['711', folder]);
  try {
    await runCommand('mount', ['-o', 'loop', '-t', kind, file, path]);
  } catch (error) {
    await rm(folder, { recursive: true });
    return `${kind} cannot be mounted here: ${(error as Error).message}`;
  }
  await runCommand('chmod', ['711', path]);
  return {
    path,
    file,
    close: async () => {
      await runCommand('umount', ['-l', path]);
      await rm(folder, { recursive: true });
    },
  };
}

// A whole copy of a disk that nothing writes to: one file that rests on nothing. Tells its progress as QEMU's program does, and
// ends with the signal. What a call that was cut short leaves is the caller's to remove.
import type { CallContext } from '@virga/contract/agent/agent';
import { startOwned } from '../backups/owned-process.ts';
import type { BaseImage } from '../instances/root-disk.ts';

/** `(12.50/100%)`, with a carriage return instead of a line end. */
const percentOf = /\((\d+)\.\d+\/100%\)/g;

/** @throws CommandFailed */
export function convertDisk(
  { path, format }: Pick<BaseImage, 'path' | 'format'>,
  to: string,
  call: CallContext,
): Promise<void> {
  // Blocks out of order, and none that are zero: what the guest never wrote takes no room.
  return runConvert(['-U', '-W', '-f', format, '-O', 'qcow2', path, to], 'copying the disk', call);
}

/** Ends with the signal, and with us. @throws CommandFailed */
export async function runConvert(
  args: readonly string[],
  message: string,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  const how = { stdio: [...stdio], signal, package: 'qemu-utils' };
  const child = startOwned('qemu-img', ['convert', '-p', ...args], how);
  child.stdout?.on('data', (bytes: Buffer) => {
    const last = [...bytes.toString().matchAll(percentOf)].at(-1);
    if (last) onProgress?.(message, Number(last[1]));
  });
  await child.ended;
}

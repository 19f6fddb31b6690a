// A whole copy of a disk that nothing writes to: one file that rests on nothing. Tells its progress as QEMU's program does, and
// ends with the signal. What a call that was cut short leaves is the caller's to remove.
import { spawn } from 'node:child_process';
import type { CallContext } from '@virga/contract/agent/agent';
import { CommandFailed } from '../../run-command.ts';
import type { BaseImage } from '../instances/root-disk.ts';

/** `(12.50/100%)`, with a carriage return instead of a line end. */
export const percentOf = /\((\d+)\.\d+\/100%\)/g;

/** @throws CommandFailed */
export function convertDisk(
  { path, format }: Pick<BaseImage, 'path' | 'format'>,
  to: string,
  { signal, onProgress }: CallContext,
): Promise<void> {
  // Blocks out of order, and none that are zero: what the guest never wrote takes no room.
  const args = ['convert', '-p', '-U', '-W', '-f', format, '-O', 'qcow2', path, to];
  return new Promise((resolve, reject) => {
    const child = spawn('qemu-img', args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
      signal,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => {
      said = `${said}${bytes}`.slice(-4096);
    });
    child.stdout.on('data', (bytes: Buffer) => {
      const last = [...bytes.toString().matchAll(percentOf)].at(-1);
      if (last) onProgress?.('copying the disk', Number(last[1]));
    });
    child.once('error', (error) => reject(signal?.aborted ? signal.reason : error));
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new CommandFailed('qemu-img', code, said, undefined));
    });
  });
}

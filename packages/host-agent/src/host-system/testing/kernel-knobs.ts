// The kernel is one for all tests, whatever their namespaces: who changes its settings holds this lock meanwhile, machine-wide,
// and puts back first what a run that was killed has left changed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Does the work while nobody else changes the kernel.
 * @param work gets the folder, the same for every run, for a record that outlives it
 */
export async function withKernelKnobs<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = join(process.env.VIRGA_TEST_CACHE ?? tmpdir(), 'kernel-knobs');
  await mkdir(folder, { recursive: true });
  // `cat` ends, and the lock with it, when this process has ended or closes its input.
  const holder = spawn('flock', ['--exclusive', join(folder, 'lock'), 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'close');
  try {
    await Promise.race([
      once(holder.stdout, 'data'),
      ended.then(() => {
        throw new Error('the lock of the kernel settings could not be had');
      }),
    ]);
    return await work(folder);
  } finally {
    holder.stdin.end();
    await ended;
  }
}

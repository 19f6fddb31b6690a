// Makes a plain qcow2 of a disk of unknown origin, with qemu-img locked away and the format stated. Owns what qemu-img is
// asked and what its end means; the result is judged by its caller.
import { chmod, chown, link, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageLimits } from '@virga/contract/agent/image-source';
import type { VirgaError } from '@virga/contract/errors';
import { fetchAgain, makePlain, refuseImage } from '../../../image-formats/refusal.ts';
import { giveToNobody, makeSandboxFolder, nobody, runSandboxed, type SandboxResult } from '../../../sandbox/sandbox.ts';
import type { Storage } from '../../storage.ts';
import { sizeOf, type Unpacked, writable } from './unpack-image.ts';

type Conversion = {
  disk: Unpacked;
  folder: string;
  storage: Storage;
  limits: ImageLimits;
  onPercent: (percent: number) => void;
  signal: AbortSignal | undefined;
};

const mebibyte = 1024 ** 2;
/** `qemu-img check`: clusters that nothing uses, which cost room but no data. */
const leaksOnly = 3;
/** Most of what it maps are the stacks of its threads. */
const memoryBytes = 1024 * mebibyte;

/** @returns the path of a qcow2 file that is ours @throws ImageUnusable | StorageFull | HostIncapable */
export async function convertImage({ disk, folder, storage, limits, onPercent, signal }: Conversion): Promise<string> {
  const work = await makeSandboxFolder(folder);
  const [source, target] = [join(work, 'source'), join(work, 'target')];
  // The same file under the only name that is visible in there, to be read and not written.
  await link(disk.path, source);
  await chmod(source, 0o440);
  await chown(source, 0, nobody);
  await (await open(target, 'wx', 0o600)).close();
  await giveToNobody(target);
  const room = await writable(storage, limits);
  const ask = (args: string[], onOutput?: (text: string) => void) =>
    runSandboxed({
      ...{ program: 'qemu-img', args, folder: work, signal, ...(onOutput && { onOutput }) },
      limits: {
        ...{ memoryBytes, cpuSeconds: limits.maximumSeconds, fileBytes: room.bytes },
        timeoutMs: limits.maximumSeconds * 1000,
      },
    });
  // Reading beyond the end of a file is reading zeros, to qemu-img; that is for its check to find.
  if (disk.format !== 'raw') {
    const check = await ask(['check', '-q', '-f', disk.format, '/work/source']);
    if (check.exitCode !== 0 && check.exitCode !== leaksOnly) throw unreadable(check);
  }
  const formats = ['-f', disk.format, '-O', 'qcow2', '-o', 'compat=1.1'];
  const converted = await ask(['convert', '-p', '-m', '4', ...formats, '/work/source', '/work/target'], (text) => {
    const percents = [...text.matchAll(/\(\s*(\d{1,3}(?:\.\d+)?)\/100%\)/g)].map(([, percent]) => Number(percent));
    if (percents.length > 0) onPercent(Math.max(...percents));
  });
  if (converted.exitCode === 0) {
    const path = join(folder, 'converted');
    await rm(path, { force: true });
    await rename(target, path);
    return path;
  }
  const isFull = /No space left|File too large/.test(converted.stderr);
  if (isFull || (await sizeOf(target)) >= room.bytes - mebibyte) throw room.exceeded();
  throw unreadable(converted);
}

function unreadable({ exitCode, stderr, isTimedOut }: SandboxResult): VirgaError {
  if (isTimedOut) return refuseImage('takes longer to convert than an image may', makePlain);
  const why =
    exitCode === null
      ? 'takes more memory or time to convert than an image may'
      : 'is corrupt: it cannot be read to its end';
  return refuseImage(why, fetchAgain, new Error(stderr.slice(0, 2000)));
}

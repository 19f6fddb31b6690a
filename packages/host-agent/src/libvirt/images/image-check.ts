// Whether an image of unknown origin can be used. Owns the rules; asks qemu-img under limits of memory and time and as a
// user who may do nothing, because the image may be made to harm it. Fails with ImageUnusable, which says why.
import type { FileHandle } from 'node:fs/promises';
import type { DesiredImage } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { imageBytes } from '../../image-formats/image-bytes.ts';
import { checkQcow2Tables } from '../../image-formats/qcow2-tables.ts';
import { natureOf } from '../../image-formats/signatures.ts';
import { CommandFailed, runCommand } from '../../run-command.ts';
import { rlimits, smallStackBytes } from '../../sandbox/rlimits.ts';
import { descriptorBytes, descriptorOffset, isoRefusal } from './iso-header.ts';
import { headerBytes, isQcow2, readQcow2Header } from './qcow2-header.ts';

/** More than any guest of ours could be given; a larger number is a mistake or an attack. */
const largestVirtualBytes = 16n * 1024n ** 4n;
const memoryLimitBytes = 1024 ** 3;
const infoTimeoutMs = 10_000;
const checkTimeoutMs = 300_000;
const sectorBytes = 512;
/** `qemu-img check`: clusters that nothing uses, which cost room but no data. */
const leaksOnly = 3;

type Kind = Pick<DesiredImage, 'format' | 'kind'>;
type Format = DesiredImage['format'];
/** Who runs qemu-img: nobody, with the group that may read the image. */
export type Reader = { uid: number; gid: number } | undefined;

const makePlain = 'Make a plain one of it: qemu-img convert -O qcow2 FILE NEW-FILE.';
const stateOrMakePlain = `State the format that it has. ${makePlain}`;
const makeAgain = 'See what is wrong with qemu-img check, and fetch or make the image again.';
const getWholeDisc = 'Fetch the ISO file again, or register a disk with --kind disk.';
const giveDisk = 'Give a file with the whole disk in it.';

/** Looks at the first bytes. @returns the virtual size */
export async function checkHeader(file: FileHandle, { format, kind }: Kind, sizeBytes: number): Promise<number> {
  const bytes = Buffer.alloc(headerBytes);
  const { bytesRead } = await file.read(bytes, 0, headerBytes, 0);
  const read = bytes.subarray(0, bytesRead);
  if (format === 'raw') {
    if (sizeBytes === 0) throw unusable('is empty', giveDisk);
    if (isQcow2(read)) {
      throw unusable('is stated to be raw but is a qcow2 image', 'State its format as qcow2.');
    }
    const { kind: nature } = await strictly(() => natureOf(imageBytes(file, sizeBytes), 'raw', kind ?? 'disk'));
    if (nature === 'compressed') throw unusable('is compressed', 'Unpack it, or bring it in with virga images import.');
    if (kind === 'iso') await checkDisc(file, sizeBytes);
    return Math.ceil(sizeBytes / sectorBytes) * sectorBytes;
  }
  if (kind === 'iso')
    throw unusable('is a CD-ROM by what is stated, and a qcow2 image too', 'State its format as raw.');
  const header = readQcow2Header(read);
  if ('refusal' in header) throw unusable(header.refusal, stateOrMakePlain);
  const { virtualSizeBytes } = header;
  if (virtualSizeBytes === 0n) throw unusable('is a disk of no size', giveDisk);
  if (virtualSizeBytes > largestVirtualBytes) {
    throw unusable(`claims to be a disk of ${virtualSizeBytes} bytes`, makeAgain);
  }
  await strictly(() => checkQcow2Tables(imageBytes(file, sizeBytes)));
  return Number(virtualSizeBytes);
}

/** What the readers of images from elsewhere say, of a file of the host. */
async function strictly<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof VirgaError)) throw error;
    const { code, detail, action } = error;
    throw new VirgaError(code, { detail, action, field: '/source/path', cause: error });
  }
}

async function checkDisc(file: FileHandle, sizeBytes: number): Promise<void> {
  const descriptor = Buffer.alloc(descriptorBytes);
  const { bytesRead } = await file.read(descriptor, 0, descriptorBytes, descriptorOffset);
  const refusal = isoRefusal(descriptor.subarray(0, bytesRead), sizeBytes);
  if (refusal !== undefined) throw unusable(refusal, getWholeDisc);
}

/** Looks at the whole, which nobody else can change any more. */
export async function checkContent(path: string, format: Format, reader: Reader, signal?: AbortSignal): Promise<void> {
  if (format === 'raw') return;
  const info = JSON.parse(await ask(['info', '--output=json', '-f', format, path], infoTimeoutMs, reader, signal));
  const details = info['format-specific']?.data ?? {};
  if (info['backing-filename'] !== undefined) throw unusable('has a backing file', makePlain);
  if (details['data-file'] !== undefined) throw unusable('keeps its data in another file', makePlain);
  if (info.encrypted || details.encrypt !== undefined) throw unusable('is encrypted', makePlain);
  if (details.corrupt) throw unusable('is marked as corrupt', makeAgain);
  await ask(['check', '-q', '-f', format, path], checkTimeoutMs, reader, signal, leaksOnly);
}

async function ask(
  args: string[],
  timeoutMs: number,
  user: Reader,
  signal: AbortSignal | undefined,
  acceptedCode = 0,
): Promise<string> {
  const limits = rlimits({
    memoryBytes: memoryLimitBytes,
    cpuSeconds: timeoutMs / 1000,
    fileBytes: 0,
    stackBytes: smallStackBytes,
  });
  try {
    return await runCommand('prlimit', [...limits, '--', 'qemu-img', ...args], { timeoutMs, user, signal });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    if (error.exitCode === acceptedCode) return '';
    if (error.exitCode === null) {
      throw unusable('takes more time or memory to look at than an image may', makePlain, error);
    }
    throw unusable('is corrupt', makeAgain, error);
  }
}

/** @param advice what to do; the file itself is the caller's */
export function unusable(refusal: string, advice: string, cause?: unknown): VirgaError {
  const detail = `The image file ${refusal}.`;
  return new VirgaError('ImageUnusable', { detail, action: advice, field: '/source/path', cause });
}

// Disks as files, made and grown by qemu-img: empty or with the content of an image, sparse or not, encrypted or not. A file
// gets its name once it is whole. A passphrase goes to the program in a nameless file, never among its arguments.
import { constants } from 'node:fs';
import { copyFile, rm } from 'node:fs/promises';
import { finishFile, partialPath } from '../../durable-file.ts';
import { CommandFailed, type CommandOptions, runCommand } from '../../run-command.ts';
import { withSecretFile } from '../../secret-file.ts';
import { runConvert } from '../disks/convert-disk.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import { type DiskWork, keyId, type NewDisk, type PresentDisk } from './pool-driver.ts';

const diskMode = 0o600;
/** To write terabytes takes hours; who waits can give up before. */
const longestMs = 24 * 3_600_000;
/** It measures how fast it derives keys, and gives up where the machine is too busy for that: then it is asked again. */
const keyAttempts = 20;
/** A passphrase of 256 random bits needs no stretching. */
export const luksOptions = `encrypt.format=luks,encrypt.key-secret=${keyId},encrypt.iter-time=50`;

/** @throws CommandFailed | ErrnoException */
export async function makeDiskFile(path: string, disk: NewDisk, work: DiskWork): Promise<void> {
  const partial = partialPath(path);
  await rm(partial, { force: true });
  const { source } = disk;
  if (source === undefined || source.clone === 'linked') await createFile(partial, disk, work);
  else await copyInto(partial, source.image, disk, work);
  await work.beforeRename?.();
  await finishFile(path, diskMode);
}

async function createFile(partial: string, disk: NewDisk, work: DiskWork): Promise<void> {
  const { format, preallocation, source, passphrase } = disk;
  const options = [
    ...(preallocation === 'off' ? [] : [`preallocation=${preallocation}`]),
    ...(passphrase === undefined ? [] : [luksOptions]),
  ];
  const args = [
    'create',
    '-q',
    ...['-f', format],
    // The format of the base is stated, never guessed. -u: it was checked when it came in, so it need not be opened.
    ...(source ? ['-u', '-F', source.image.format, '-b', source.image.path] : []),
    ...(options.length > 0 ? ['-o', options.join(',')] : []),
    ...[partial, String(sizeOf(disk))],
  ];
  if (passphrase === undefined) await qemuImg(args, work);
  else await keepTrying(() => qemuImg(args, work, passphrase));
}

/** Makes an encrypted disk. */
export async function keepTrying(make: () => Promise<void>): Promise<void> {
  for (let left = keyAttempts; ; left--) {
    try {
      return await make();
    } catch (error) {
      if (left === 0 || !(error instanceof CommandFailed)) throw error;
    }
  }
}

/** A copy of the image of its own, with blocks that they share where the file system can do that. */
async function copyInto(partial: string, image: BaseImage, disk: NewDisk, work: DiskWork): Promise<void> {
  const { format, passphrase, preallocation } = disk;
  // A guest may have it open, below what it writes to.
  const shared = image.isLayer ? ['-U'] : [];
  const from = sourceOf(image);
  if (passphrase !== undefined) {
    await createFile(partial, { ...disk, source: undefined }, work);
    const to = ['--target-image-opts', from.name, openedWith([partial], keyId)];
    return withKeys({ [keyId]: passphrase, ...from.keys }, (keys) =>
      convert([...keys, '-n', ...shared, ...from.how, ...to], work),
    );
  }
  const isReadable = image.base === undefined && image.passphrase === undefined && image.remote === undefined;
  const isPlain = image.format === format && isReadable && preallocation === 'off';
  if (!isPlain) {
    const options = preallocation === 'off' ? [] : ['-o', `preallocation=${preallocation}`];
    const to = ['-O', format, ...options, from.name, partial];
    await withKeys(from.keys, (keys) => convert([...keys, ...shared, ...from.how, ...to], work));
  } else if (!(await reflink(image.path, partial))) {
    await runCommand('cp', ['--reflink=never', '--sparse=always', '--', image.path, partial], long(work));
  }
  if (sizeOf(disk) === image.virtualSizeBytes) return;
  await resize({ paths: [partial], format, passphrase, preallocation }, sizeOf(disk), work);
}

/** The key of an encrypted image, for programs that have another one too. */
const sourceKeyId = 'source';

/** An image as a program of QEMU's is told to read it. */
export function sourceOf(image: BaseImage): { how: string[]; name: string; keys: Keys } {
  const { path, format, passphrase, remote } = image;
  const keys: Keys = passphrase === undefined ? {} : { [sourceKeyId]: passphrase };
  if (remote !== undefined) {
    const driver = passphrase === undefined ? `driver=${format}` : `driver=luks,key-secret=${sourceKeyId}`;
    return { how: ['--image-opts'], name: `${driver},${remote}`, keys };
  }
  if (passphrase === undefined) return { how: ['-f', format], name: path, keys: {} };
  const paths: string[] = [];
  for (let one: BaseImage | undefined = image; one !== undefined; one = one.base) paths.push(one.path);
  return { how: ['--image-opts'], name: openedWith(paths, sourceKeyId), keys };
}

/**
 * Options that open an encrypted disk. Each of its files has the same key, which no header of them could name.
 * @param paths of its files, the one that is written to first; those that are left out are looked for where the last one says
 */
export function openedWith(paths: readonly string[], key: string): string {
  const files = paths.map((path, depth) => {
    const at = 'backing.'.repeat(depth);
    return `${at}driver=qcow2,${at}file.driver=file,${at}file.filename=${escaped(path)},${at}encrypt.key-secret=${key}`;
  });
  return files.join(',');
}

/** Ends with us: another one would begin again beside it. */
const convert = (args: readonly string[], { signal, onProgress }: DiskWork): Promise<void> =>
  runConvert(args, '', { signal, onProgress: (_, percent) => onProgress?.(percent) });

/** @returns false when the file system cannot do that */
export async function reflink(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS'].includes(code)) throw error;
    await rm(to, { force: true });
    return false;
  }
}

/** @param paths of its files, the one that is written to first @throws CommandFailed */
export const growFile = (
  paths: readonly [string, ...string[]],
  { format, encrypted, passphrase }: PresentDisk,
  sizeBytes: number,
  work: DiskWork,
): Promise<void> =>
  resize({ paths, format, passphrase: encrypted ? passphrase : undefined, preallocation: 'off' }, sizeBytes, work);

async function resize(
  file: {
    paths: readonly [string, ...string[]];
    format: string;
    passphrase: string | undefined;
    preallocation: string;
  },
  sizeBytes: number,
  work: DiskWork,
): Promise<void> {
  const { paths, format, passphrase, preallocation } = file;
  const grown = preallocation === 'off' ? [] : [`--preallocation=${preallocation}`];
  const image = passphrase === undefined ? ['-f', format, paths[0]] : ['--image-opts', openedWith(paths, keyId)];
  await qemuImg(['resize', '-q', ...grown, ...image, String(sizeBytes)], work, passphrase);
}

/** Whether another process has it open to write, as QEMU's locks tell. @throws CommandFailed it cannot be read */
export async function isOpenToWrite(path: string, format: string): Promise<boolean> {
  // Asks for a lock that a writer does not allow; with that set aside, it must be readable.
  const info = ['info', '-f', format, '--output=json', path];
  try {
    await runCommand('qemu-img', info, { package: 'qemu-utils' });
    return false;
  } catch {
    await runCommand('qemu-img', [...info.slice(0, 1), '--force-share', ...info.slice(1)], { package: 'qemu-utils' });
    return true;
  }
}

/** What the image holds must fit. */
const sizeOf = ({ sizeBytes, source }: NewDisk): number => Math.max(sizeBytes, source?.image.virtualSizeBytes ?? 0);

/** As it stands in an option of QEMU. */
export const escaped = (path: string): string => path.replaceAll(',', ',,');

const long = ({ signal }: DiskWork): CommandOptions => ({ signal, timeoutMs: longestMs });

/** Passphrases, by what a program of QEMU's is to know them by. */
export type Keys = Readonly<Record<string, string>>;

/** @param work gets the arguments that give a program these keys */
export async function withKeys<T>(keys: Keys, work: (args: string[]) => Promise<T>): Promise<T> {
  const [first, ...others] = Object.entries(keys);
  if (first === undefined) return work([]);
  const [id, passphrase] = first;
  return withSecretFile(passphrase, (path) =>
    withKeys(Object.fromEntries(others), (args) => work(['--object', `secret,id=${id},file=${path}`, ...args])),
  );
}

/**
 * @param args the command of qemu-img comes first
 * @param keys one passphrase is known by {@link keyId}
 */
export async function qemuImg(
  [command, ...args]: readonly string[],
  work: DiskWork,
  keys: Keys | string = {},
): Promise<void> {
  const options = { ...long(work), package: 'qemu-utils' };
  await withKeys(typeof keys === 'string' ? { [keyId]: keys } : keys, (secrets) =>
    runCommand('qemu-img', [command!, ...secrets, ...args], options),
  );
}

// Making a layer: an empty qcow2 file that rests on another, encrypted as that is, and reading how large a disk is. Formats are
// stated, never guessed. What a crash leaves under the temporary name the next try overwrites.
import { open, rm } from 'node:fs/promises';
import { finishFile, partialPath } from '../../durable-file.ts';
import { keepTrying, luksOptions, qemuImg } from '../pools/disk-files.ts';
import { formatOfFile } from './disk-layers.ts';

const layerMode = 0o600;
/** Of the qcow2 header, big-endian. */
const virtualSizeOffset = 24;

/** Takes no look into the file below, which a guest may be writing to. @throws CommandFailed */
export async function makeLayer(
  path: string,
  below: string,
  sizeBytes: number,
  { signal, passphrase }: { signal?: AbortSignal | undefined; passphrase?: string | undefined } = {},
): Promise<void> {
  const partial = partialPath(path);
  await rm(partial, { force: true });
  const backing = ['-u', '-F', formatOfFile(below), '-b', below];
  const how = passphrase === undefined ? [] : ['-o', luksOptions];
  const create = ['create', '-q', '-f', 'qcow2', ...backing, ...how, partial, String(sizeBytes)];
  if (passphrase === undefined) await qemuImg(create, { signal });
  else await keepTrying(() => qemuImg(create, { signal }, passphrase));
  await finishFile(path, layerMode);
}

/** What a guest sees of the size. */
export async function virtualSizeOf(path: string): Promise<number> {
  await using file = await open(path, 'r');
  if (formatOfFile(path) === 'raw') return (await file.stat()).size;
  const { buffer } = await file.read(Buffer.alloc(8), 0, 8, virtualSizeOffset);
  return Number(buffer.readBigUInt64BE());
}

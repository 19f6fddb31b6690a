// What a simulated host checks of an image file: as much of qemu-img's judgement as the header tells, without qemu-img.
// Reads the file once, however many hosts import it. Fails as the real agent does, with ImageUnusable or NotFound.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { DesiredImage } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';

export type ImageFile = { virtualSizeBytes: number; fileSizeBytes: number; sha256: string };

const qcow2Magic = 0x514649fb;
const headerBytes = 104;
const sectorBytes = 512;
const maxVirtualSizeBytes = 16 * 1024 ** 4;
/** Incompatible features of a qcow2: the file is marked corrupt, its data lies in another file. */
const corruptBit = 1n << 1n;
const dataFileBit = 1n << 2n;

const hashes = new Map<string, Promise<string>>();

/** @throws ImageUnusable | NotFound */
export async function inspectImage({ source, format }: Pick<DesiredImage, 'source' | 'format'>): Promise<ImageFile> {
  const { header, fileSizeBytes, mtimeMs } = await readHeader(source.path);
  const virtualSizeBytes =
    format === 'qcow2' ? qcow2Size(header, fileSizeBytes, source.path) : rawSize(header, fileSizeBytes, source.path);
  if (virtualSizeBytes > maxVirtualSizeBytes) throw unusable(source.path, 'is absurdly large');
  return { virtualSizeBytes, fileSizeBytes, sha256: await hashOf(source.path, `${fileSizeBytes} ${mtimeMs}`) };
}

async function readHeader(path: string): Promise<{ header: Buffer; fileSizeBytes: number; mtimeMs: number }> {
  try {
    const { size, mtimeMs } = await stat(path);
    const file = await open(path, 'r');
    try {
      const header = Buffer.alloc(headerBytes);
      await file.read(header, 0, headerBytes, 0);
      return { header, fileSizeBytes: size, mtimeMs };
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new VirgaError('NotFound', {
      detail: `There is no file ${path} on the host.`,
      action: 'Give the path of an image file as the host sees it.',
      cause: error,
    });
  }
}

/** @see https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt */
function qcow2Size(header: Buffer, fileSizeBytes: number, path: string): number {
  const version = header.readUInt32BE(4);
  if (header.readUInt32BE(0) !== qcow2Magic || (version !== 2 && version !== 3))
    throw unusable(path, 'is not a qcow2 file');
  if (header.readBigUInt64BE(8) !== 0n) throw unusable(path, 'has a backing file');
  const incompatible = version === 3 ? header.readBigUInt64BE(72) : 0n;
  if ((incompatible & dataFileBit) !== 0n) throw unusable(path, 'keeps its data in another file');
  if ((incompatible & corruptBit) !== 0n) throw unusable(path, 'is marked corrupt');
  const clusterBits = header.readUInt32BE(20);
  const level1End = header.readBigUInt64BE(40) + 8n * BigInt(header.readUInt32BE(36));
  const refcountsEnd =
    header.readBigUInt64BE(48) + (BigInt(header.readUInt32BE(56)) << BigInt(Math.min(clusterBits, 21)));
  if (clusterBits < 9 || clusterBits > 21 || level1End > fileSizeBytes || refcountsEnd > fileSizeBytes) {
    throw unusable(path, 'is corrupt or was cut off');
  }
  return Number(header.readBigUInt64BE(24));
}

function rawSize(header: Buffer, fileSizeBytes: number, path: string): number {
  if (fileSizeBytes === 0) throw unusable(path, 'is empty');
  if (header.readUInt32BE(0) === qcow2Magic) throw unusable(path, 'is a qcow2 file, not a raw one');
  return Math.ceil(fileSizeBytes / sectorBytes) * sectorBytes;
}

function hashOf(path: string, version: string): Promise<string> {
  const key = `${path} ${version}`;
  let hash = hashes.get(key);
  if (hash === undefined) {
    hash = hashFile(path);
    hashes.set(key, hash);
    hash.catch(() => hashes.delete(key));
  }
  return hash;
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function unusable(path: string, fault: string): VirgaError {
  return new VirgaError('ImageUnusable', {
    detail: `The image file ${path} ${fault}.`,
    action: 'Register a whole qcow2 or raw file that stands for itself, and state its format.',
  });
}

// What a simulated host checks of an image file: as much of qemu-img's judgement as the header tells, without qemu-img.
// Reads the file once, however many hosts import it. Fails as the real agent does, with ImageUnusable or NotFound.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { DesiredFileImage, DesiredImage } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { descriptorBytes, descriptorOffset, isoRefusal } from '../libvirt/images/iso-header.ts';
import { headerBytes, isQcow2, readQcow2Header } from '../libvirt/images/qcow2-header.ts';

export type ImageFile = { virtualSizeBytes: number; fileSizeBytes: number; sha256: string };

const sectorBytes = 512;
const maxVirtualSizeBytes = 16n * 1024n ** 4n;

const hashes = new Map<string, Promise<string>>();

/** @throws ImageUnusable | NotFound */
export async function inspectImage({
  source,
  format,
  kind,
}: Pick<DesiredFileImage, 'source' | 'format' | 'kind'>): Promise<ImageFile> {
  const { header, descriptor, fileSizeBytes, mtimeMs } = await readHeader(source.path);
  const virtualSizeBytes = sizeOf(header, format, fileSizeBytes, source.path);
  const refusal = kind === 'iso' ? isoRefusal(descriptor, fileSizeBytes) : undefined;
  if (refusal !== undefined) throw unusable(source.path, refusal);
  return { virtualSizeBytes, fileSizeBytes, sha256: await hashOf(source.path, `${fileSizeBytes} ${mtimeMs}`) };
}

async function readHeader(
  path: string,
): Promise<{ header: Buffer; descriptor: Buffer; fileSizeBytes: number; mtimeMs: number }> {
  try {
    const { size, mtimeMs } = await stat(path);
    const file = await open(path, 'r');
    try {
      const readAt = async (offset: number, bytes: number) => {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, offset);
        return buffer.subarray(0, bytesRead);
      };
      const header = await readAt(0, headerBytes);
      const descriptor = await readAt(descriptorOffset, descriptorBytes);
      return { header, descriptor, fileSizeBytes: size, mtimeMs };
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new VirgaError('NotFound', {
      detail: `There is no file ${path} on the host.`,
      action: 'Give the path of an image file as the host sees it.',
      field: '/source/path',
      cause: error,
    });
  }
}

function sizeOf(header: Buffer, format: DesiredImage['format'], fileSizeBytes: number, path: string): number {
  const qcow2 = readQcow2Header(header);
  if (format === 'raw') {
    if (fileSizeBytes === 0) throw unusable(path, 'is empty');
    if (isQcow2(header)) throw unusable(path, 'is stated to be raw but is a qcow2 image');
    return Math.ceil(fileSizeBytes / sectorBytes) * sectorBytes;
  }
  if ('refusal' in qcow2) throw unusable(path, qcow2.refusal);
  if (isCutOff(header, fileSizeBytes)) throw unusable(path, 'is corrupt');
  if (qcow2.virtualSizeBytes === 0n || qcow2.virtualSizeBytes > maxVirtualSizeBytes) {
    throw unusable(path, `claims to be a disk of ${qcow2.virtualSizeBytes} bytes`);
  }
  return Number(qcow2.virtualSizeBytes);
}

/** True when a table that the header names lies beyond the end of the file. @see QEMU, docs/interop/qcow2.txt */
function isCutOff(header: Buffer, fileSizeBytes: number): boolean {
  const clusterBits = BigInt(header.readUInt32BE(20));
  const level1End = header.readBigUInt64BE(40) + 8n * BigInt(header.readUInt32BE(36));
  const refcountsEnd = header.readBigUInt64BE(48) + (BigInt(header.readUInt32BE(56)) << clusterBits);
  return level1End > fileSizeBytes || refcountsEnd > fileSizeBytes;
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
    field: '/source/path',
  });
}

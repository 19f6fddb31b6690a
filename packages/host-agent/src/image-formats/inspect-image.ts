// Judges an image file of unknown origin before any other program sees it: what it is, how large a disk, and whether all of
// it is inside. Owns the order of the questions; each format has its own reader.
import type { ImageFormat } from '@virga/contract/agent/image-source';
import { descriptorBytes, descriptorOffset, isoRefusal } from '../libvirt/images/iso-header.ts';
import { headerBytes, readQcow2Header } from '../libvirt/images/qcow2-header.ts';
import type { ImageBytes } from './image-bytes.ts';
import { checkQcow2Tables } from './qcow2-tables.ts';
import { fetchAgain, makePlain, refuseImage } from './refusal.ts';
import { type Nature, natureOf } from './signatures.ts';
import { readVdi } from './vdi.ts';
import { readVhdx } from './vhdx.ts';
import { readVmdk } from './vmdk.ts';

export type Stated = { format: ImageFormat | 'detect'; kind: 'disk' | 'iso'; maximumVirtualBytes: number };
export type Inspected =
  | { kind: 'disk'; format: Exclude<ImageFormat, 'ova'>; virtualSizeBytes: number }
  | { kind: 'archive' }
  | Extract<Nature, { kind: 'compressed' }>;

const sectorBytes = 512;

/** @throws ImageUnusable */
export async function inspectImage(bytes: ImageBytes, stated: Stated): Promise<Inspected> {
  const nature = await natureOf(bytes, stated.format, stated.kind);
  if (nature.kind === 'compressed') return nature;
  const { format } = nature;
  if (format === 'ova') return { kind: 'archive' };
  const virtualBytes = await readers[format](bytes, stated.kind);
  if (virtualBytes === 0n) throw refuseImage('is a disk of no size', fetchAgain);
  if (virtualBytes > BigInt(stated.maximumVirtualBytes)) {
    const advice = `The cloud takes disks of at most ${stated.maximumVirtualBytes} bytes. Ask its administrator.`;
    throw refuseImage(`claims to be a disk of ${virtualBytes} bytes`, advice);
  }
  return { kind: 'disk', format, virtualSizeBytes: Number(virtualBytes) };
}

type Reader = (bytes: ImageBytes, kind: 'disk' | 'iso') => Promise<bigint>;

const readers: Record<Exclude<ImageFormat, 'ova'>, Reader> = {
  async raw(bytes, kind) {
    if (kind === 'iso') {
      const descriptor = await bytes.upTo(descriptorOffset, descriptorBytes);
      const refusal = isoRefusal(descriptor, bytes.sizeBytes);
      if (refusal !== undefined) throw refuseImage(refusal, 'Fetch the ISO file again, or leave out --kind iso.');
    }
    return BigInt(Math.ceil(bytes.sizeBytes / sectorBytes) * sectorBytes);
  },
  async qcow2(bytes) {
    const header = readQcow2Header(await bytes.at(0, headerBytes, 'its header'));
    if ('refusal' in header) throw refuseImage(header.refusal, makePlain);
    await checkQcow2Tables(bytes);
    return header.virtualSizeBytes;
  },
  vmdk: readVmdk,
  vhdx: readVhdx,
  vdi: readVdi,
};

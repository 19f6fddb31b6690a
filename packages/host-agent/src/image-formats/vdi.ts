// Reads the header of a VDI file of unknown origin.
// @see QEMU, block/vdi.c
import type { ImageBytes } from './image-bytes.ts';
import { fetchAgain, refuseImage } from './refusal.ts';

const headerBytes = 512;
const version = 0x0001_0001;
const blockBytes = 1024 ** 2;
const entryBytes = 4;
const dynamicType = 1;
const fixedType = 2;
const noUuid = Buffer.alloc(16);

/** @returns the virtual size */
export async function readVdi(bytes: ImageBytes): Promise<bigint> {
  const header = await bytes.at(0, headerBytes, 'its header');
  if (header.readUInt32LE(68) !== version) throw refuseImage('is of an unknown version of VDI');
  const type = header.readUInt32LE(76);
  const link = header.subarray(424, 440);
  const parent = header.subarray(440, 456);
  if (!link.equals(noUuid) || !parent.equals(noUuid)) throw refuseImage('rests on another file');
  if (type !== dynamicType && type !== fixedType) throw refuseImage('is a difference to another file');
  const virtualBytes = header.readBigUInt64LE(368);
  const tableOffset = header.readUInt32LE(340);
  const dataOffset = header.readUInt32LE(344);
  const blocks = header.readUInt32LE(384);
  const isOdd =
    header.readUInt32LE(360) !== 512 ||
    header.readUInt32LE(376) !== blockBytes ||
    header.readUInt32LE(380) !== 0 ||
    tableOffset < headerBytes ||
    tableOffset % 512 !== 0 ||
    dataOffset % 512 !== 0 ||
    header.readUInt32LE(388) > blocks;
  if (isOdd) throw refuseImage('has a header that contradicts itself', fetchAgain);
  if ((virtualBytes + BigInt(blockBytes - 1)) / BigInt(blockBytes) !== BigInt(blocks)) {
    throw refuseImage(`claims to be a disk of ${virtualBytes} bytes in ${blocks} blocks`, fetchAgain);
  }
  const tableEnd = tableOffset + blocks * entryBytes;
  if (tableEnd > dataOffset || tableEnd > bytes.sizeBytes)
    throw refuseImage('ends before the end of its table', fetchAgain);
  return virtualBytes;
}

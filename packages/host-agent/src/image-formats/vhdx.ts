// Reads a VHDX file of unknown origin: its headers, regions and metadata, as far as they say what it rests on, how large it
// is, and whether it was closed in order.
// @see Microsoft, MS-VHDX; QEMU, block/vhdx.c
import type { ImageBytes } from './image-bytes.ts';
import { fetchAgain, makePlain, refuseImage } from './refusal.ts';

const headerOffsets = [64 * 1024, 128 * 1024];
const regionOffsets = [192 * 1024, 256 * 1024];
const headerBytes = 4096;
const regionTableBytes = 64 * 1024;
const mebibyte = 1024 ** 2;
const largestTable = 2047;

const batRegion = guid('2dc27766-f623-4200-9d64-115e9bfd4a08');
const metadataRegion = guid('8b7ca206-4790-4b9a-b8fe-575f050f886e');
const fileParameters = guid('caa16737-fa36-4d43-b3b6-33f0aa44e76b');
const virtualDiskSize = guid('2fa54224-cd1b-4876-b211-5dbed83bf4b8');
const logicalSectorSize = guid('8141bf1d-a96f-4709-ba47-f233a8faab5f');
const parentLocator = guid('a8d35f2d-b30b-454d-abf7-d3d84834ab0c');
const hasParentBit = 2;
const requiredBit = 4;

/** @returns the virtual size */
export async function readVhdx(bytes: ImageBytes): Promise<bigint> {
  await checkHeaders(bytes);
  const regions = await readRegions(bytes);
  const metadata = regions.get(metadataRegion);
  if (!metadata || !regions.has(batRegion)) throw refuseImage('lacks a table that a VHDX has', fetchAgain);
  return readMetadata(bytes, metadata);
}

async function checkHeaders(bytes: ImageBytes): Promise<void> {
  let newest: { sequence: bigint; header: Buffer } | undefined;
  for (const offset of headerOffsets) {
    const header = await bytes.at(offset, headerBytes, 'its headers');
    if (header.toString('latin1', 0, 4) !== 'head') continue;
    const sequence = header.readBigUInt64LE(8);
    if (newest === undefined || sequence > newest.sequence) newest = { sequence, header };
  }
  if (!newest) throw refuseImage('has no header that can be read', fetchAgain);
  if (newest.header.readUInt16LE(66) !== 1) throw refuseImage('is of an unknown version of VHDX');
  if (!newest.header.subarray(48, 64).equals(Buffer.alloc(16))) {
    throw refuseImage('was not closed in order: it has a log to be replayed', makePlain);
  }
}

type Region = { offset: bigint; length: number };

async function readRegions(bytes: ImageBytes): Promise<Map<string, Region>> {
  for (const offset of regionOffsets) {
    const table = await bytes.at(offset, regionTableBytes, 'its region tables');
    if (table.toString('latin1', 0, 4) !== 'regi') continue;
    const count = table.readUInt32LE(8);
    if (count > largestTable) throw refuseImage(`has ${count} regions`, fetchAgain);
    const regions = new Map<string, Region>();
    for (let index = 0; index < count; index++) {
      const entry = table.subarray(16 + index * 32, 48 + index * 32);
      const name = entry.toString('hex', 0, 16);
      const region = { offset: entry.readBigUInt64LE(16), length: entry.readUInt32LE(24) };
      const isKnown = name === batRegion || name === metadataRegion;
      if (!isKnown && (entry.readUInt32LE(28) & 1) !== 0) throw refuseImage('needs a feature that is not known');
      if (!isKnown) continue;
      const isPlaced = region.offset % BigInt(mebibyte) === 0n && region.offset >= BigInt(mebibyte);
      if (regions.has(name) || !isPlaced || region.length === 0 || region.length % mebibyte !== 0) {
        throw refuseImage('has tables where none may be', fetchAgain);
      }
      if (region.offset + BigInt(region.length) > BigInt(bytes.sizeBytes)) {
        throw refuseImage('ends before the end of its tables', fetchAgain);
      }
      regions.set(name, region);
    }
    return regions;
  }
  throw refuseImage('has no region table that can be read', fetchAgain);
}

async function readMetadata(bytes: ImageBytes, region: Region): Promise<bigint> {
  const table = await bytes.at(region.offset, regionTableBytes, 'its metadata');
  if (table.toString('latin1', 0, 8) !== 'metadata') throw refuseImage('has no metadata', fetchAgain);
  const count = table.readUInt16LE(10);
  if (count > largestTable) throw refuseImage(`has ${count} items of metadata`, fetchAgain);
  const items = new Map<string, Buffer>();
  const known = [fileParameters, virtualDiskSize, logicalSectorSize];
  for (let index = 0; index < count; index++) {
    const entry = table.subarray(32 + index * 32, 64 + index * 32);
    const name = entry.toString('hex', 0, 16);
    if (name === parentLocator) throw refuseImage('rests on another file');
    if (!known.includes(name)) continue;
    const offset = region.offset + BigInt(entry.readUInt32LE(16));
    items.set(name, await bytes.at(offset, known.indexOf(name) === 2 ? 4 : 8, 'its metadata'));
    if ((entry.readUInt32LE(24) & requiredBit) === 0)
      throw refuseImage('has metadata that contradicts itself', fetchAgain);
  }
  const parameters = items.get(fileParameters);
  const size = items.get(virtualDiskSize);
  const sector = items.get(logicalSectorSize)?.readUInt32LE(0);
  if (!parameters || !size || sector === undefined) throw refuseImage('lacks metadata that a VHDX has', fetchAgain);
  if ((parameters.readUInt32LE(4) & hasParentBit) !== 0) throw refuseImage('is a difference to another file');
  const block = parameters.readUInt32LE(0);
  const isBlock = block >= mebibyte && block <= 256 * mebibyte && (block & (block - 1)) === 0;
  if (!isBlock || (sector !== 512 && sector !== 4096))
    throw refuseImage('has blocks of an impossible size', fetchAgain);
  return size.readBigUInt64LE(0);
}

/** As its bytes stand in the file, in hexadecimal. */
function guid(text: string): string {
  const [a = '', b = '', c = '', d = '', e = ''] = text.split('-');
  const swapped = [a, b, c].map((part) => Buffer.from(part, 'hex').reverse().toString('hex'));
  return [...swapped, d, e].join('');
}

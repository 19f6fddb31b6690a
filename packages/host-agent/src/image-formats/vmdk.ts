// Reads a VMDK file of unknown origin: one file with all in it, which is what monolithicSparse and streamOptimized are.
// Whatever leads QEMU to another file is refused: descriptors alone, extents elsewhere, parents.
// @see VMware, Virtual Disk Format 5.0; QEMU, block/vmdk.c
import type { ImageBytes } from './image-bytes.ts';
import { fetchAgain, makePlain, refuseImage } from './refusal.ts';

const sectorBytes = 512;
const headerBytes = 512;
const newestVersion = 3;
/** QEMU reads that much of a descriptor, whatever its size is said to be. */
const readByQemuBytes = 20 * sectorBytes;
const largestDescriptorBytes = 128 * 1024;
const tableAtEnd = 0xffff_ffff_ffff_ffffn;
/** Of the copy of the header at the end, which is followed by a marker. */
const footerFromEndBytes = 1024;
const deflate = 1;

type Header = { capacity: bigint; grainSectors: bigint; tableEntries: number; directoryOffset: bigint };

/** @returns the virtual size */
export async function readVmdk(bytes: ImageBytes): Promise<bigint> {
  const raw = await bytes.at(0, headerBytes, 'its header');
  const header = readHeader(raw);
  // Without a capacity QEMU takes the descriptor inside for one of a whole file, and follows its extents.
  if (header.capacity === 0n) throw refuseImage('is a disk of no size, or the description of one in other files');
  const isStream = header.directoryOffset === tableAtEnd;
  if (isStream) await checkFooter(bytes, header);
  else if (header.directoryOffset * BigInt(sectorBytes) >= BigInt(bytes.sizeBytes)) {
    throw refuseImage('ends before its grain directory', fetchAgain);
  }
  const descriptorBytes = raw.readBigUInt64LE(36) * BigInt(sectorBytes);
  const descriptorOffset = raw.readBigUInt64LE(28) * BigInt(sectorBytes);
  if (descriptorBytes === 0n || descriptorBytes > BigInt(largestDescriptorBytes)) {
    throw refuseImage('has no descriptor of a usual size', makePlain);
  }
  const text = await bytes.at(descriptorOffset, Number(descriptorBytes), 'its descriptor');
  const more = await bytes.upTo(Number(descriptorOffset), Math.max(readByQemuBytes, Number(descriptorBytes)));
  checkDescriptor(text.toString('latin1'), more.toString('latin1'), header.capacity);
  return header.capacity * BigInt(sectorBytes);
}

function readHeader(raw: Buffer): Header {
  const version = raw.readUInt32LE(4);
  if (version < 1 || version > newestVersion) throw refuseImage(`is of VMDK version ${version}`);
  const compression = raw.readUInt16LE(77);
  if (compression > deflate) throw refuseImage('is compressed in a way that is not known');
  const header = {
    capacity: raw.readBigUInt64LE(12),
    grainSectors: raw.readBigUInt64LE(20),
    tableEntries: raw.readUInt32LE(44),
    directoryOffset: raw.readBigUInt64LE(56),
  };
  const { grainSectors, tableEntries } = header;
  const isPower = grainSectors > 0n && (grainSectors & (grainSectors - 1n)) === 0n;
  if (!isPower || grainSectors < 8n || grainSectors > 4096n || tableEntries === 0 || tableEntries > 512) {
    throw refuseImage('has tables of an impossible shape', fetchAgain);
  }
  return header;
}

async function checkFooter(bytes: ImageBytes, header: Header): Promise<void> {
  const raw = await bytes.at(bytes.sizeBytes - footerFromEndBytes, headerBytes, 'its footer');
  if (raw.toString('latin1', 0, 4) !== 'KDMV') throw refuseImage('was cut short: it has no footer', fetchAgain);
  const footer = readHeader(raw);
  const isSame =
    footer.capacity === header.capacity &&
    footer.grainSectors === header.grainSectors &&
    footer.tableEntries === header.tableEntries;
  const isWithin = footer.directoryOffset * BigInt(sectorBytes) < BigInt(bytes.sizeBytes);
  if (!isSame || !isWithin) throw refuseImage('says one thing at its beginning and another at its end', fetchAgain);
}

function checkDescriptor(text: string, readByQemu: string, capacity: bigint): void {
  if (/parentFileNameHint/i.test(text) || /parentFileNameHint/i.test(readByQemu)) {
    throw refuseImage('rests on another file');
  }
  const lines = text
    .replace(/\0[\s\S]*$/, '')
    .split(/\r?\n/)
    .map((line) => line.trim());
  const values = new Map<string, string>();
  const extents: string[] = [];
  for (const line of lines) {
    const [, name, value] = /^([\w.]+)\s*=\s*"?([^"]*)"?$/.exec(line) ?? [];
    if (/^(rw|rdonly|noaccess)\b/i.test(line)) extents.push(line);
    else if (name !== undefined) values.set(name.toLowerCase(), value ?? '');
  }
  const type = values.get('createtype') ?? '';
  if (type !== 'monolithicSparse' && type !== 'streamOptimized') {
    throw refuseImage(`is a VMDK of the type ${JSON.stringify(type.slice(0, 40))}, which has its data in other files`);
  }
  const parent = values.get('parentcid');
  if (parent !== undefined && parent.toLowerCase() !== 'ffffffff') throw refuseImage('rests on another file');
  const [extent] = extents;
  const [, sectors] = /^RW (\d{1,18}) SPARSE "[^"/\\]*"(?: 0)?$/.exec(extent ?? '') ?? [];
  if (extents.length !== 1 || sectors === undefined) throw refuseImage('keeps its data in other files');
  if (BigInt(sectors) > capacity) throw refuseImage('says two sizes of itself', fetchAgain);
}

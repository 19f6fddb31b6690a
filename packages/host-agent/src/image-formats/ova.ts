// Reads an OVA of unknown origin: a tar archive with one descriptor and the disk that it names. Nothing is unpacked by name:
// what is found is a place in the archive. Owns what may be in one; whether the disk is a good one is seen afterwards.
// @see DMTF, DSP0243 (OVF); POSIX, ustar
import { createHash } from 'node:crypto';
import { childAt, childrenOf, parseXml } from '../libvirt/xml.ts';
import type { ImageBytes } from './image-bytes.ts';
import { fetchAgain, refuseImage } from './refusal.ts';

export type Entry = { name: string; offsetBytes: number; sizeBytes: number };

const blockBytes = 512;
const mostEntries = 64;
const largestTextBytes = 512 * 1024;
const oneDisk = 'Take the disk out of it with tar, and import that.';

/** @returns where its disk is, and the checksum that its manifest says */
export async function findDisk(
  bytes: ImageBytes,
): Promise<Entry & { checksum?: { algorithm: 'sha1' | 'sha256' | 'sha512'; value: string } }> {
  const entries = await readEntries(bytes);
  const descriptors = entries.filter(({ name }) => name.toLowerCase().endsWith('.ovf'));
  const [descriptor] = descriptors;
  if (!descriptor || descriptors.length > 1) {
    throw refuseImage(`is an archive with ${descriptors.length} descriptors instead of one`, oneDisk);
  }
  const text = await readText(bytes, descriptor);
  const file = fileOfDisk(text);
  const disk = entries.find(({ name }) => name === file);
  if (!disk) throw refuseImage(`lacks the disk ${JSON.stringify(file)} that its descriptor names`, fetchAgain);
  const manifest = entries.find(({ name }) => name.toLowerCase().endsWith('.mf'));
  if (!manifest) return disk;
  const sums = readManifest(await readText(bytes, manifest));
  const ofDescriptor = sums.get(descriptor.name);
  if (ofDescriptor && createHash(ofDescriptor.algorithm).update(text).digest('hex') !== ofDescriptor.value) {
    throw refuseImage('has another descriptor than its manifest says', fetchAgain);
  }
  const checksum = sums.get(disk.name);
  if (!checksum) throw refuseImage('has a manifest that says nothing of its disk', fetchAgain);
  return { ...disk, checksum };
}

async function readEntries(bytes: ImageBytes): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let at = 0; at + blockBytes <= bytes.sizeBytes; ) {
    const header = await bytes.at(at, blockBytes, 'its list of files');
    if (header.every((byte) => byte === 0)) break;
    if (!isHeader(header)) throw refuseImage('is no archive that can be read to its end', fetchAgain);
    const name = textOf(header.subarray(0, 100));
    const type = String.fromCharCode(header[156] || 0x30);
    if (type !== '0')
      throw refuseImage(`is an archive with something else than files in it: ${JSON.stringify(name)}`, oneDisk);
    if (!/^[^/\\\0]+$/.test(name) || name === '.' || name === '..' || textOf(header.subarray(345, 500)) !== '') {
      throw refuseImage(`is an archive with a file in a folder: ${JSON.stringify(name)}`, oneDisk);
    }
    if (entries.some((entry) => entry.name === name))
      throw refuseImage(`has ${JSON.stringify(name)} twice`, fetchAgain);
    const sizeBytes = sizeOf(header.subarray(124, 136));
    const offsetBytes = at + blockBytes;
    if (offsetBytes + sizeBytes > bytes.sizeBytes)
      throw refuseImage(`was cut short within ${JSON.stringify(name)}`, fetchAgain);
    entries.push({ name, offsetBytes, sizeBytes });
    if (entries.length > mostEntries) throw refuseImage(`is an archive of more than ${mostEntries} files`, oneDisk);
    at = offsetBytes + Math.ceil(sizeBytes / blockBytes) * blockBytes;
  }
  return entries;
}

/** Its checksum is the sum of its bytes, with blanks where the checksum is. */
function isHeader(header: Buffer): boolean {
  const said = Number.parseInt(textOf(header.subarray(148, 156)).trim(), 8);
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0);
  return header.toString('latin1', 257, 262) === 'ustar' && said === sum;
}

function sizeOf(field: Buffer): number {
  // Sizes of 8 GiB and more are binary, with the highest bit set.
  const binary = field[0] === 0x80 ? Number(field.readBigUInt64BE(4)) : Number.NaN;
  const octal = /^[0-7]{1,12}$/.test(textOf(field).trim()) ? Number.parseInt(textOf(field).trim(), 8) : Number.NaN;
  const size = field[0] === 0x80 ? binary : octal;
  if (!Number.isSafeInteger(size) || size < 0) throw refuseImage('has a file of an impossible size', fetchAgain);
  return size;
}

async function readText(bytes: ImageBytes, { name, offsetBytes, sizeBytes }: Entry): Promise<string> {
  if (sizeBytes > largestTextBytes) throw refuseImage(`has ${JSON.stringify(name)} of ${sizeBytes} bytes`, fetchAgain);
  return (await bytes.at(offsetBytes, sizeBytes, JSON.stringify(name))).toString('utf8');
}

/** The name of the file of its one disk. */
function fileOfDisk(descriptor: string): string {
  if (/<!doctype|<!entity/i.test(descriptor)) throw refuseImage('has a descriptor that defines entities', oneDisk);
  let envelope: ReturnType<typeof parseXml>;
  try {
    envelope = parseXml(descriptor);
  } catch (error) {
    throw refuseImage('has a descriptor that is no XML', fetchAgain, error);
  }
  const disks = childrenOf(childAt(envelope, 'DiskSection'), 'Disk');
  const [disk] = disks;
  if (!disk || disks.length > 1) throw refuseImage(`describes ${disks.length} disks instead of one`, oneDisk);
  if (attribute(disk, 'parentRef') !== undefined) throw refuseImage('describes a disk that rests on another', oneDisk);
  const reference = attribute(disk, 'fileRef');
  const files = childrenOf(childAt(envelope, 'References'), 'File');
  const file = files.find((candidate) => attribute(candidate, 'id') === reference);
  const href = file && attribute(file, 'href');
  if (!file || href === undefined) throw refuseImage('describes a disk without a file', fetchAgain);
  if (attribute(file, 'compression') !== undefined || attribute(file, 'chunkSize') !== undefined) {
    throw refuseImage('has its disk compressed or in pieces', oneDisk);
  }
  return href;
}

const attribute = ({ attributes }: { attributes: Record<string, string> }, name: string): string | undefined =>
  attributes[name] ?? attributes[`ovf:${name}`];

function readManifest(text: string) {
  const sums = new Map<string, { algorithm: 'sha1' | 'sha256' | 'sha512'; value: string }>();
  for (const line of text.split('\n')) {
    const [, algorithm = '', name = '', value = ''] =
      /^(sha1|sha256|sha512) ?\((.+)\) ?= ?([0-9a-f]+)\s*$/i.exec(line) ?? [];
    if (name !== '') sums.set(name, { algorithm: algorithm.toLowerCase() as 'sha1', value: value.toLowerCase() });
  }
  return sums;
}

const textOf = (field: Buffer): string => field.toString('utf8').replace(/\0[\s\S]*$/, '');

// Looks at what the header of a qcow2 file of unknown origin says beyond its first sizes: features, extensions, snapshots and
// tables. `qcow2-header.ts` has read what leads out of the file before.
// @see QEMU, docs/interop/qcow2.txt
import type { ImageBytes } from './image-bytes.ts';
import { fetchAgain, refuseImage } from './refusal.ts';

const oldestVersion = 2;
const oldHeaderBytes = 72;
const usualHeaderBytes = 104;
const entryBytes = 8n;
const largestLevel1Bytes = 32n * 1024n ** 2n;
const largestRefcountBytes = 8n * 1024n ** 2n;

/** Dirty, corrupt (refused before), data file (refused before), compression type, extended second-level entries. */
const knownFeatures = 0b11111n;
const endOfExtensions = 0;
const encryptionHeader = 0x0537_be77;
const dataFileName = 0x4441_5441;

/** @throws ImageUnusable */
export async function checkQcow2Tables(bytes: ImageBytes): Promise<void> {
  const header = await bytes.at(0, usualHeaderBytes, 'its header');
  const clusterBytes = 1n << BigInt(header.readUInt32BE(20));
  const isOld = header.readUInt32BE(4) === oldestVersion;
  if (header.readUInt32BE(60) !== 0) throw refuseImage('has snapshots inside');
  if (!isOld) {
    const features = header.readBigUInt64BE(72);
    if ((features & ~knownFeatures) !== 0n) throw refuseImage('needs a feature that is not known');
    if (header.readUInt32BE(96) > 6) throw refuseImage('counts references in an impossible way', fetchAgain);
  }
  const level1Offset = header.readBigUInt64BE(40);
  const level1Bytes = BigInt(header.readUInt32BE(36)) * entryBytes;
  const refcountOffset = header.readBigUInt64BE(48);
  const refcountBytes = BigInt(header.readUInt32BE(56)) * clusterBytes;
  if (level1Bytes > largestLevel1Bytes || refcountBytes > largestRefcountBytes) {
    throw refuseImage('has tables of an absurd size', fetchAgain);
  }
  if (level1Offset % clusterBytes !== 0n || refcountOffset % clusterBytes !== 0n || refcountOffset === 0n) {
    throw refuseImage('has tables where none may be', fetchAgain);
  }
  const end = BigInt(bytes.sizeBytes);
  if (level1Offset + level1Bytes > end || refcountOffset + refcountBytes > end) {
    throw refuseImage('is corrupt: it ends before the end of its tables', fetchAgain);
  }
  const level2Reach = (clusterBytes / entryBytes) * clusterBytes;
  const virtualBytes = header.readBigUInt64BE(24);
  if ((level1Bytes / entryBytes) * level2Reach < virtualBytes) {
    throw refuseImage('has tables that are too small for its size', fetchAgain);
  }
  await checkExtensions(bytes, isOld ? oldHeaderBytes : header.readUInt32BE(100), Number(clusterBytes));
}

async function checkExtensions(bytes: ImageBytes, headerBytes: number, clusterBytes: number): Promise<void> {
  const isOdd = headerBytes !== oldHeaderBytes && (headerBytes < usualHeaderBytes || headerBytes % 8 !== 0);
  if (isOdd || headerBytes > clusterBytes) throw refuseImage('has a header of an impossible length', fetchAgain);
  const cluster = await bytes.upTo(0, Math.min(clusterBytes, 1024 ** 2));
  for (let at = headerBytes; at + 8 <= cluster.length; ) {
    const type = cluster.readUInt32BE(at);
    const length = cluster.readUInt32BE(at + 4);
    if (type === endOfExtensions) return;
    if (type === encryptionHeader) throw refuseImage('is encrypted');
    if (type === dataFileName) throw refuseImage('keeps its data in another file');
    if (length > cluster.length - at - 8) throw refuseImage('has a header that contradicts itself', fetchAgain);
    at += 8 + Math.ceil(length / 8) * 8;
  }
}

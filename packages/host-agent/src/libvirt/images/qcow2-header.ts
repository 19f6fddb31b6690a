// Reads the first bytes of a qcow2 file of unknown origin, before any other program sees it. Owns the judgement on what
// would lead out of the file (backing file, data file) or cannot be used (encryption). Decides nothing about what is
// inside; `qemu-img check` does that later.
// @see QEMU, docs/interop/qcow2.txt

export const qcow2Magic = Buffer.from('QFI\xfb', 'latin1');
export const headerBytes = 104;

const oldestVersion = 2;
const newestVersion = 3;
const corruptBit = 1n << 1n;
const dataFileBit = 1n << 2n;

export type Qcow2Header = { virtualSizeBytes: bigint };
export type Refusal = { refusal: string };

/** @returns the header, or the end of a sentence that begins "the file" */
export function readQcow2Header(bytes: Buffer): Qcow2Header | Refusal {
  if (!isQcow2(bytes)) return { refusal: 'is not a qcow2 image' };
  if (bytes.length < headerBytes) return { refusal: 'ends within its header' };
  const version = bytes.readUInt32BE(4);
  if (version < oldestVersion || version > newestVersion) return { refusal: `is of qcow2 version ${version}` };
  if (bytes.readBigUInt64BE(8) !== 0n) return { refusal: 'has a backing file' };
  const clusterBits = bytes.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) return { refusal: 'has clusters of an impossible size' };
  if (bytes.readUInt32BE(32) !== 0) return { refusal: 'is encrypted' };
  const incompatible = version === oldestVersion ? 0n : bytes.readBigUInt64BE(72);
  if ((incompatible & dataFileBit) !== 0n) return { refusal: 'keeps its data in another file' };
  if ((incompatible & corruptBit) !== 0n) return { refusal: 'is marked as corrupt' };
  return { virtualSizeBytes: bytes.readBigUInt64BE(24) };
}

/** True for every qcow2 image, also one that cannot be used. */
export const isQcow2 = (bytes: Buffer): boolean => bytes.subarray(0, 4).equals(qcow2Magic);

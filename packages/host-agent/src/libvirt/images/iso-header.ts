// Reads what an ISO 9660 file of unknown origin says of itself, in its first volume descriptor. Owns the judgement whether
// it is a disc at all and whether all of it is there; what is on it is the guest's affair, which reads it as any disc.
// @see ECMA-119, 8.4

const sectorBytes = 2048;
/** The descriptors come after 16 sectors that are the system's own. */
export const descriptorOffset = 16 * sectorBytes;
export const descriptorBytes = 132;
/** A disc of four layers has 128 GB. What is larger is a mistake or an attack. */
export const largestIsoBytes = 128 * 1024 ** 3;
/** Programs that write discs count the padding at the end, and some do not write it. */
const paddingBytes = 150 * sectorBytes;

/** @param descriptor what stands at {@link descriptorOffset} @returns the end of a sentence that begins "the file" */
export function isoRefusal(descriptor: Buffer, fileSizeBytes: number): string | undefined {
  if (descriptor.length < descriptorBytes || descriptor.toString('latin1', 1, 6) !== 'CD001') {
    return 'is not an ISO 9660 image';
  }
  if (fileSizeBytes > largestIsoBytes) return `has ${fileSizeBytes} bytes, more than any disc`;
  const blockBytes = descriptor.readUInt16LE(128);
  const claimedBytes = descriptor.readUInt32LE(80) * blockBytes;
  const isPrimary = descriptor[0] === 1;
  if (isPrimary && claimedBytes > fileSizeBytes + paddingBytes) {
    return `was cut short: it has ${fileSizeBytes} of ${claimedBytes} bytes`;
  }
  return undefined;
}

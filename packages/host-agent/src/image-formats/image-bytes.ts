// Reading pieces of a file of unknown origin: every place and length is compared with the size of the file first, because
// they come from the file itself. Fails with ImageUnusable.
import type { FileHandle } from 'node:fs/promises';
import { fetchAgain, refuseImage } from './refusal.ts';

/** No header, table of contents or descriptor that we read is larger. */
const largestPieceBytes = 1024 ** 2;

export type ImageBytes = {
  sizeBytes: number;
  /** Exactly that many bytes from there. @throws ImageUnusable they are not all there */
  at(offsetBytes: number | bigint, lengthBytes: number, what: string): Promise<Buffer>;
  /** As many as there are, at most that many. */
  upTo(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
};

export function imageBytes(file: FileHandle, sizeBytes: number): ImageBytes {
  const upTo = async (offsetBytes: number, lengthBytes: number) => {
    const buffer = Buffer.alloc(Math.max(0, Math.min(lengthBytes, sizeBytes - offsetBytes)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offsetBytes);
    return buffer.subarray(0, bytesRead);
  };
  return {
    sizeBytes,
    upTo,
    async at(offsetBytes, lengthBytes, what) {
      const isWithin = BigInt(offsetBytes) >= 0n && BigInt(offsetBytes) + BigInt(lengthBytes) <= BigInt(sizeBytes);
      if (lengthBytes > largestPieceBytes) throw refuseImage(`has ${what} of ${lengthBytes} bytes`, fetchAgain);
      const bytes = isWithin ? await upTo(Number(offsetBytes), lengthBytes) : undefined;
      if (bytes?.length !== lengthBytes) throw refuseImage(`ends before the end of ${what}`, fetchAgain);
      return bytes;
    },
  };
}

// A disk, or what has changed of it, as one stream of bytes: a line that says what it is, a list of the parts, and the content of
// those that are not empty, in the order of the disk. That order is what makes equal content of disks meet in a store that looks
// for it. Owns the form; reading it back checks every number before it is used.
import type { Extent } from './disk-map.ts';
import type { NbdClient } from './nbd-client.ts';

const formName = 'virga-disk 1\n';
const lengthBytes = 4;
const maxHeaderBytes = 512 * 1024 * 1024;
const blockBytes = 1024 * 1024;
/** Requests to the disk that are under way at a time. */
const depth = 4;
/** What one request may zero: the protocol has 32 bits for it. */
const zeroBytes = 1024 * 1024 * 1024;

type Header = { sizeBytes: number; extents: [offset: number, length: number, zero?: 1][] };

/** Blocks of the parts that have content, cut to a size that is handled at once. */
function* blocksOf(extents: readonly Extent[]): Generator<{ offset: number; length: number }> {
  for (const { offset, length, zero } of extents) {
    if (zero) continue;
    for (let at = 0; at < length; at += blockBytes) {
      yield { offset: offset + at, length: Math.min(blockBytes, length - at) };
    }
  }
}

/** What a stream of these parts has to read. */
export const dataBytesOf = (extents: readonly Extent[]): number =>
  extents.reduce((sum, { length, zero }) => sum + (zero ? 0 : length), 0);

export async function* writeStream(disk: NbdClient, extents: readonly Extent[]): AsyncGenerator<Buffer> {
  const header: Header = {
    sizeBytes: disk.sizeBytes,
    extents: extents.map(({ offset, length, zero }) => (zero ? [offset, length, 1] : [offset, length])),
  };
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32BE(text.length);
  yield Buffer.concat([Buffer.from(formName), length, text]);
  const reads: Promise<Buffer>[] = [];
  for (const block of blocksOf(extents)) {
    const read = disk.read(block.offset, block.length);
    read.catch(() => undefined);
    reads.push(read);
    if (reads.length >= depth) yield await reads.shift()!;
  }
  for (const read of reads) yield await read;
}

/** Not what {@link writeStream} made. */
export class StreamBroken extends Error {
  override readonly name = 'StreamBroken';
}

/**
 * Writes a stream to a disk. What it does not speak of stays as it is.
 * @throws StreamBroken it is no such stream, or of a disk of another size
 */
export async function readStream(
  source: AsyncIterable<Buffer>,
  disk: NbdClient,
  onWritten: (bytes: number) => void = () => undefined,
): Promise<void> {
  const input = new ChunkReader(source);
  if ((await input.take(formName.length)).toString('latin1') !== formName) throw new StreamBroken('unknown form');
  const headerBytes = (await input.take(lengthBytes)).readUInt32BE();
  if (headerBytes > maxHeaderBytes) throw new StreamBroken('its list of parts is too long');
  const extents = readHeader(await input.take(headerBytes), disk.sizeBytes);
  for (const { offset, length, zero } of extents) if (zero) await zeroRange(disk, offset, length);
  const writes: Promise<void>[] = [];
  for (const { offset, length } of blocksOf(extents)) {
    const write = disk.write(offset, await input.take(length)).then(() => onWritten(length));
    write.catch(() => undefined);
    writes.push(write);
    if (writes.length >= depth) await writes.shift();
  }
  for (const write of writes) await write;
  if (!(await input.isAtEnd())) throw new StreamBroken('it goes on after its end');
}

export async function zeroRange(disk: NbdClient, offset: number, length: number): Promise<void> {
  for (let at = 0; at < length; at += zeroBytes) await disk.writeZeroes(offset + at, Math.min(zeroBytes, length - at));
}

function readHeader(text: Buffer, sizeBytes: number): Extent[] {
  let header: Header;
  try {
    header = JSON.parse(text.toString()) as Header;
  } catch (cause) {
    throw new StreamBroken('its list of parts cannot be read', { cause });
  }
  if (header.sizeBytes > sizeBytes) throw new StreamBroken('it is of a larger disk');
  let end = 0;
  return header.extents.map(([offset, length, zero]) => {
    const isSound = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && length > 0 && offset >= end;
    end = offset + length;
    if (!isSound || end > header.sizeBytes) throw new StreamBroken('its list of parts is wrong');
    return { offset, length, zero: zero === 1 };
  });
}

class ChunkReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = bytes;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#next())) throw new StreamBroken('it ends too early');
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, bytes);
  }

  async isAtEnd(): Promise<boolean> {
    return this.#rest.length === 0 && !(await this.#next());
  }

  async #next(): Promise<boolean> {
    do {
      const { done, value } = await this.#chunks.next();
      if (done) return false;
      this.#rest = value;
    } while (this.#rest.length === 0);
    return true;
  }
}

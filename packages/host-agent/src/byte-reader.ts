// Reads a stream in pieces of known size. Owns what has come and was not asked for yet. A stream that ends or fails in the
// middle of a piece rejects.
import type { Readable } from 'node:stream';

export class ByteReader {
  private readonly parts: AsyncIterator<Buffer>;
  private buffered: Buffer = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.parts = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  /** The next `size` bytes. @throws Error the stream ends before */
  async take(size: number): Promise<Buffer> {
    const parts = [this.buffered];
    let haveBytes = this.buffered.length;
    while (haveBytes < size) {
      const { value, done } = await this.parts.next();
      if (done) throw new Error(`the stream has ended ${size - haveBytes} bytes too early`);
      parts.push(value);
      haveBytes += value.length;
    }
    const whole = parts.length === 1 ? this.buffered : Buffer.concat(parts);
    this.buffered = whole.subarray(size);
    return whole.subarray(0, size);
  }
}

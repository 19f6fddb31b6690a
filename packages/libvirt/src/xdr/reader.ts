// Reads XDR (RFC 4506) values from one received message. Owns the bounds: every read is checked against the end of the
// message and every length against its limit before anything is allocated. Fails with ProtocolError.
import { ProtocolError } from '../errors.ts';

export class XdrReader {
  private bytes: Buffer;
  private offset: number;
  private end: number;

  constructor(bytes: Buffer, offset = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  /** Points the reader at another message, so that a connection needs only one reader. */
  reset(bytes: Buffer, offset: number, end: number): this {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
    return this;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.end - this.offset;
  }

  uint(): number {
    const at = this.take(4);
    const bytes = this.bytes;
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  }

  int(): number {
    const at = this.take(4);
    const bytes = this.bytes;
    return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }

  hyper(): bigint {
    return this.bytes.readBigInt64BE(this.take(8));
  }

  unsignedHyper(): bigint {
    return this.bytes.readBigUInt64BE(this.take(8));
  }

  /** An unsigned hyper as a number; above 2^53 the last bits are rounded away. */
  unsignedHyperNumber(): number {
    const high = this.uint();
    return high * 0x1_0000_0000 + this.uint();
  }

  double(): number {
    return this.bytes.readDoubleBE(this.take(8));
  }

  /** A length that must not be above `max` nor, counted in units of `unitBytes`, point behind the message. */
  length(max: number, unitBytes: number): number {
    const length = this.uint();
    if (length > max) throw new ProtocolError(`a length of ${length} is above its limit ${max}`);
    if (length * unitBytes > this.end - this.offset) {
      throw new ProtocolError(`a length of ${length} points behind the end of the message`);
    }
    return length;
  }

  string(maxBytes: number): string {
    const length = this.length(maxBytes, 1);
    const at = this.take((length + 3) & ~3);
    return this.bytes.toString('utf8', at, at + length);
  }

  /** Exactly `length` bytes. The result shares memory with the message: copy what outlives it. */
  fixedOpaque(length: number): Buffer {
    const at = this.take((length + 3) & ~3);
    return this.bytes.subarray(at, at + length);
  }

  opaque(maxBytes: number): Buffer {
    return this.fixedOpaque(this.length(maxBytes, 1));
  }

  /** Everything that is left, shared with the message. */
  rest(): Buffer {
    const at = this.offset;
    this.offset = this.end;
    return this.bytes.subarray(at, this.end);
  }

  /** Fails when a message is longer than what it should hold. */
  expectEnd(): void {
    if (this.offset !== this.end) throw new ProtocolError(`${this.end - this.offset} bytes too many in a message`);
  }

  private take(count: number): number {
    const at = this.offset;
    const next = at + count;
    if (next > this.end) throw new ProtocolError(`a message ends ${next - this.end} bytes too early`);
    this.offset = next;
    return at;
  }
}

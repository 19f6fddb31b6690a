// Writes XDR (RFC 4506) values into a slab of memory that many messages share, so that a call costs no copy. Owns the
// slab; what is written stays untouched after `take`. Fails with InvalidValue; the caller then rolls back to its mark.
import { InvalidValue } from '../errors.ts';

const slabBytes = 64 * 1024;

export class XdrWriter {
  private bytes = Buffer.allocUnsafe(slabBytes);
  private start = 0;
  private offset = 0;

  /** Bytes written since the last `take`; also a mark for `rollback` and `patchUint`. */
  get length(): number {
    return this.offset - this.start;
  }

  /** Forgets everything written since `mark`. */
  rollback(mark: number): void {
    this.offset = this.start + mark;
  }

  /** Overwrites four bytes at `mark`. */
  patchUint(mark: number, value: number): void {
    this.bytes.writeUInt32BE(value, this.start + mark);
  }

  /** Hands over everything written since the last `take`. */
  take(): Buffer {
    const taken = this.bytes.subarray(this.start, this.offset);
    this.start = this.offset;
    return taken;
  }

  uint(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
      throw new InvalidValue(`${value} is not a whole number from 0 to 4294967295`);
    }
    const at = this.reserve(4);
    this.bytes.writeUInt32BE(value, at);
  }

  int(value: number): void {
    if ((value | 0) !== value) {
      throw new InvalidValue(`${value} is not a whole number from -2147483648 to 2147483647`);
    }
    const at = this.reserve(4);
    this.bytes.writeInt32BE(value, at);
  }

  hyper(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new InvalidValue(`${value} does not fit in 64 bits`);
    const at = this.reserve(8);
    this.bytes.writeBigInt64BE(value, at);
  }

  unsignedHyper(value: bigint): void {
    if (BigInt.asUintN(64, value) !== value) throw new InvalidValue(`${value} does not fit in 64 bits without a sign`);
    const at = this.reserve(8);
    this.bytes.writeBigUInt64BE(value, at);
  }

  unsignedHyperNumber(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new InvalidValue(`${value} is not a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    const at = this.reserve(8);
    this.bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
    this.bytes.writeUInt32BE(value >>> 0, at + 4);
  }

  double(value: number): void {
    const at = this.reserve(8);
    this.bytes.writeDoubleBE(value, at);
  }

  /** @throws InvalidValue a NUL would end the text early at the receiver */
  string(value: string, maxBytes: number): void {
    if (value.includes('\0')) throw new InvalidValue('a text with a NUL character cannot be sent');
    const length = Buffer.byteLength(value);
    this.limit(length, maxBytes);
    const padded = (length + 3) & ~3;
    const at = this.reserve(4 + padded);
    this.bytes.writeUInt32BE(length, at);
    this.bytes.write(value, at + 4, length, 'utf8');
    this.bytes.fill(0, at + 4 + length, at + 4 + padded);
  }

  fixedOpaque(value: Uint8Array, length: number): void {
    if (value.length !== length) throw new InvalidValue(`${value.length} bytes were given where ${length} are needed`);
    this.raw(value);
    const padding = -length & 3;
    const at = this.reserve(padding);
    this.bytes.fill(0, at, at + padding);
  }

  opaque(value: Uint8Array, maxBytes: number): void {
    this.limit(value.length, maxBytes);
    this.uint(value.length);
    this.fixedOpaque(value, value.length);
  }

  /** The bytes as they are, without length or padding. */
  raw(value: Uint8Array): void {
    const at = this.reserve(value.length);
    this.bytes.set(value, at);
  }

  /** A list length. */
  count(length: number, max: number): void {
    this.limit(length, max);
    this.uint(length);
  }

  private limit(length: number, max: number): void {
    if (length > max) throw new InvalidValue(`a length of ${length} is above the limit of ${max}`);
  }

  private reserve(count: number): number {
    if (this.offset + count > this.bytes.length) this.moveToNewSlab(count);
    const at = this.offset;
    this.offset = at + count;
    return at;
  }

  private moveToNewSlab(count: number): void {
    const pending = this.offset - this.start;
    const slab = Buffer.allocUnsafe(Math.max(slabBytes, 2 * (pending + count)));
    this.bytes.copy(slab, 0, this.start, this.offset);
    this.bytes = slab;
    this.start = 0;
    this.offset = pending;
  }
}

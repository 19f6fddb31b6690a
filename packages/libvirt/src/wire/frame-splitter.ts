// Cuts the received bytes into frames, wherever the transport has split them. Owns the unfinished frame: at most one, of
// at most maxFrameBytes, held only as far as it has arrived. Fails with ProtocolError on an impossible length.
import { ProtocolError } from '../errors.ts';
import { lengthBytes, maxFrameBytes, minFrameBytes } from './message.ts';

/** Called with each frame: header and payload lie in `bytes` from `start` to `end`, without the length word. */
export type FrameHandler = (bytes: Buffer, start: number, end: number) => void;

export class FrameSplitter {
  private readonly onFrame: FrameHandler;
  private parts: Buffer[] = [];
  private heldBytes = 0;
  /** Length of the unfinished frame, 0 while its length word is incomplete. */
  private frameBytes = 0;

  constructor(onFrame: FrameHandler) {
    this.onFrame = onFrame;
  }

  /** Bytes held for a frame that has not arrived in full. */
  get pendingBytes(): number {
    return this.heldBytes;
  }

  push(chunk: Buffer): void {
    if (this.heldBytes === 0) {
      this.split(chunk);
      return;
    }
    this.parts.push(chunk);
    this.heldBytes += chunk.length;
    if (this.frameBytes === 0 && this.heldBytes >= lengthBytes) {
      this.parts = [Buffer.concat(this.parts)];
      this.frameBytes = frameLength(this.parts[0]!, 0);
    }
    if (this.frameBytes === 0 || this.heldBytes < this.frameBytes) return;
    const whole = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts);
    this.parts = [];
    this.heldBytes = 0;
    this.frameBytes = 0;
    this.split(whole);
  }

  private split(bytes: Buffer): void {
    let at = 0;
    while (bytes.length - at >= lengthBytes) {
      const length = frameLength(bytes, at);
      if (bytes.length - at < length) {
        this.frameBytes = length;
        break;
      }
      this.onFrame(bytes, at + lengthBytes, at + length);
      at += length;
    }
    if (at === bytes.length) return;
    this.parts = [bytes.subarray(at)];
    this.heldBytes = bytes.length - at;
  }
}

function frameLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at);
  if (length < minFrameBytes || length > maxFrameBytes) {
    throw new ProtocolError(`the peer announced a message of ${length} bytes; is it libvirt?`);
  }
  return length;
}

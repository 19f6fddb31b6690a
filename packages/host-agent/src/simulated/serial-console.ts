// A session at the serial console of a simulated guest. Owns the stream, not what the guest prints.
import { Duplex } from 'node:stream';

export type ConsoleEnds = { onInput(text: string): void; onClose(): void };

export class SerialConsole extends Duplex {
  private readonly ends: ConsoleEnds;

  constructor(ends: ConsoleEnds) {
    super();
    this.ends = ends;
  }

  /** What the guest prints. */
  print(text: string): void {
    if (!this.readableEnded && !this.destroyed) this.push(text);
  }

  /** The guest is off. */
  hangUp(): void {
    if (this.destroyed) return;
    this.push(null);
    this.end();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.ends.onInput(chunk.toString());
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.ends.onClose();
    done(error);
  }
}

// Consoles that are open through this server, counted, so that forgotten ones do not pile up at one guest. Owns the count
// only; whoever opens one closes it.
import type { Duplex } from 'node:stream';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';

/** Of one instance, serial and screen together. */
export const maxOpenConsoles = 8;

export class OpenConsoles {
  readonly #counts = new Map<InstanceId, number>();

  /** @throws TooManyRequests */
  async open(id: InstanceId, work: () => Promise<Duplex>): Promise<Duplex> {
    const count = this.#counts.get(id) ?? 0;
    if (count >= maxOpenConsoles) {
      throw new VirgaError('TooManyRequests', {
        detail: `${maxOpenConsoles} consoles of this instance are open already.`,
        action: 'Close one of them first.',
      });
    }
    this.#counts.set(id, count + 1);
    try {
      const stream = await work();
      if (stream.destroyed) this.#close(id);
      else stream.once('close', () => this.#close(id));
      return stream;
    } catch (error) {
      this.#close(id);
      throw error;
    }
  }

  #close(id: InstanceId): void {
    const left = (this.#counts.get(id) ?? 1) - 1;
    if (left > 0) this.#counts.set(id, left);
    else this.#counts.delete(id);
  }
}

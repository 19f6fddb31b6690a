// JSON values, one a line, over a socket: what QEMU's monitor and its guest agent speak. Ends with the socket.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';

type Answer = Record<string, unknown>;

export class JsonLines {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  static async open(socket: Socket): Promise<JsonLines> {
    await once(socket, 'connect');
    return new JsonLines(socket);
  }

  write(value: unknown): void {
    this.#socket.write(`${JSON.stringify(value)}\n`);
  }

  /** The first answer that is wanted; others are passed over. @throws the other side hung up */
  async find(wanted: (answer: Answer) => boolean): Promise<Answer> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error('the other side hung up');
      const answer: Answer = JSON.parse(value.replaceAll('\xff', ''));
      if (wanted(answer)) return answer;
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

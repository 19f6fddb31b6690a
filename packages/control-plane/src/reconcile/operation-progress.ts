// Passes the progress of a call on to its operation: the newest only, and not more often than people can read. Short work
// ends before its first report is due, and then costs no write at all. A report that cannot be written is dropped.
export type Progress = { message: string; percent: number };

const firstAfterMs = 150;
const everyMs = 250;

export class OperationProgress {
  readonly #write: (progress: Progress) => Promise<void>;
  #latest: Progress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(write: (progress: Progress) => Promise<void>) {
    this.#write = write;
    this.#timer = setTimeout(() => this.#due(), firstAfterMs).unref();
  }

  report = (message: string, percent: number): void => {
    this.#latest = { message, percent };
  };

  /** No report is written after this. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
  }

  #due(): void {
    const progress = this.#latest;
    this.#latest = undefined;
    this.#writing = progress ? this.#write(progress).catch(() => {}) : Promise.resolve();
    void this.#writing.then(() => {
      if (this.#timer) this.#timer = setTimeout(() => this.#due(), everyMs).unref();
    });
  }
}

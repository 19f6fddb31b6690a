// A clock that shows what a test sets. It stands still until it is set again.

export class SettableClock {
  #nowMs: number;

  constructor(now: Date = new Date()) {
    this.#nowMs = now.getTime();
  }

  now(): Date {
    return new Date(this.#nowMs);
  }

  forward(ms: number): Date {
    this.#nowMs += ms;
    return this.now();
  }
}

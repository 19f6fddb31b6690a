// One at a time for each key, in the order of asking. Owns the queues only. Work that fails lets the next one in.

export class KeyedLock {
  private readonly tails = new Map<string, Promise<void>>();

  /** Runs `work` when all earlier work of the same key has ended. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key);
    const done = Promise.withResolvers<void>();
    this.tails.set(key, done.promise);
    try {
      await before;
      return await work();
    } finally {
      if (this.tails.get(key) === done.promise) this.tails.delete(key);
      done.resolve();
    }
  }
}

// Work by key: at most one piece for a key at a time, at most so many at once, and a key that is woken while it is worked
// on is worked on again. It holds no data, so nothing is lost with it: after a restart the keys are found again.
export type KeyedQueueOptions<K> = {
  /** Read whenever there is something to work on, so it may change. */
  readonly concurrency: number;
  /** What it throws is told to `onError`, and the key is tried again later, ever less often. */
  work: (key: K, signal: AbortSignal) => Promise<void>;
  onError: (key: K, error: unknown) => void;
};

const firstRetryMs = 500;
const longestRetryMs = 30_000;

export class KeyedQueue<K extends string> {
  readonly #options: KeyedQueueOptions<K>;
  readonly #waiting = new Set<K>();
  readonly #running = new Map<K, { isWokenAgain: boolean }>();
  readonly #timers = new Map<K, { atMs: number; timer: NodeJS.Timeout }>();
  readonly #failures = new Map<K, number>();
  readonly #ending = new AbortController();
  readonly #idle = new Set<() => void>();

  constructor(options: KeyedQueueOptions<K>) {
    this.#options = options;
  }

  /** Works on the key as soon as there is room. */
  wake(key: K): void {
    if (this.#ending.signal.aborted) return;
    this.#forgetTimer(key);
    const running = this.#running.get(key);
    if (running) running.isWokenAgain = true;
    else this.#waiting.add(key);
    this.#fill();
  }

  /** Wakes the key after that time, unless it is woken earlier. Of two times the earlier one counts. */
  wakeAfter(key: K, delayMs: number): void {
    if (this.#ending.signal.aborted) return;
    const atMs = performance.now() + Math.max(0, delayMs);
    const timer = this.#timers.get(key);
    if (timer && timer.atMs <= atMs) return;
    this.#forgetTimer(key);
    // A longer delay than a timer can have ends early, which is only one look too many.
    const started = setTimeout(() => this.wake(key), Math.min(Math.max(0, delayMs), 2 ** 31 - 1));
    this.#timers.set(key, { atMs, timer: started });
  }

  isRunning(key: K): boolean {
    return this.#running.has(key);
  }

  /** Takes on nothing more, and answers when what is under way has ended. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#waiting.clear();
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.add(resolve));
  }

  #fill(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#running.set(key, { isWokenAgain: false });
      void this.#run(key);
    }
  }

  async #run(key: K): Promise<void> {
    const { signal } = this.#ending;
    try {
      await this.#options.work(key, signal);
      this.#failures.delete(key);
    } catch (error) {
      if (!signal.aborted) this.#retry(key, error);
    }
    const isWokenAgain = this.#running.get(key)?.isWokenAgain ?? false;
    this.#running.delete(key);
    if (isWokenAgain && !signal.aborted) this.#waiting.add(key);
    this.#fill();
    if (this.#running.size === 0) for (const resolve of this.#idle) resolve();
  }

  #retry(key: K, error: unknown): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#options.onError(key, error);
    this.wakeAfter(key, Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(failures, 16)));
  }

  #forgetTimer(key: K): void {
    const timer = this.#timers.get(key);
    if (!timer) return;
    clearTimeout(timer.timer);
    this.#timers.delete(key);
  }
}

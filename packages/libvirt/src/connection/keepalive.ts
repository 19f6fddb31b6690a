// Notices a peer that has gone silent. Owns the ping schedule only: any byte received counts as life. Answering the
// peer's own pings is the connection's work.

export interface KeepaliveOptions {
  /** Silence after which a ping is sent; default 5000. */
  intervalMs: number;
  /** Pings without any answer after which the peer is taken for dead; default 5. */
  count: number;
}

export class Keepalive {
  private readonly timer: NodeJS.Timeout;
  private heard = false;
  private unanswered = 0;

  constructor(options: KeepaliveOptions, ping: () => void, dead: (silentMs: number) => void) {
    this.timer = setInterval(() => {
      if (this.heard) {
        this.heard = false;
        this.unanswered = 0;
        return;
      }
      if (this.unanswered >= options.count) {
        this.stop();
        dead(options.intervalMs * (options.count + 1));
        return;
      }
      this.unanswered++;
      ping();
    }, options.intervalMs);
    this.timer.unref();
  }

  /** Something was received, or nothing is being read on purpose. */
  alive(): void {
    this.heard = true;
  }

  stop(): void {
    clearInterval(this.timer);
  }
}

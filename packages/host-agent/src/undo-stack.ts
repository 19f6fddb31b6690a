// What a call has made so far and how to take it back. Owns the order: the last made goes first, and nothing goes that
// something still standing rests on.
import type { Logger } from 'pino';

export class UndoStack {
  private readonly steps: { what: string; undo: () => Promise<unknown> }[] = [];

  /** Registered before acting, so `undo` must be fine with nothing having been made. */
  add(what: string, undo: () => Promise<unknown>): void {
    this.steps.push({ what, undo });
  }

  /** Takes everything back. Stops at the first step that fails: what lies beneath it may be in use. */
  async unwind(log: Logger): Promise<void> {
    for (let step = this.steps.pop(); step !== undefined; step = this.steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        log.error({ err: error, step: step.what }, 'could not take back what a failed call had made');
        return;
      }
    }
  }
}

// Which guests have been asked to shut down and are not off yet. Owns that memory only; after a restart of the agent a
// guest is simply asked again. A guest that still boots does not hear the button, so it is pressed again: soon at first, because
// most have booted by then.
import type { InstanceId } from '@virga/contract/ids';

const firstPauseMs = 1_000;
const longestPauseMs = 5_000;

export class ShutdownRequests {
  private readonly requests = new Map<InstanceId, { pressedAtMs: number; pauseMs: number; forceAtMs: number }>();

  isPending(id: InstanceId): boolean {
    return this.requests.has(id);
  }

  isDue(id: InstanceId, nowMs: number): boolean {
    const request = this.requests.get(id);
    return request === undefined || nowMs - request.pressedAtMs >= request.pauseMs;
  }

  remember(id: InstanceId, nowMs: number, forceAtMs: number): void {
    const lastPauseMs = this.requests.get(id)?.pauseMs;
    const pauseMs = lastPauseMs === undefined ? firstPauseMs : Math.min(longestPauseMs, lastPauseMs * 2);
    this.requests.set(id, { pressedAtMs: nowMs, pauseMs, forceAtMs });
  }

  /** Off is no longer wanted. The guest may still go down, until its time is over. */
  withdraw(id: InstanceId, nowMs: number): void {
    const request = this.requests.get(id);
    if (request !== undefined && nowMs >= request.forceAtMs) this.requests.delete(id);
  }

  /** The guest is off, or starts anew. */
  forget(id: InstanceId): void {
    this.requests.delete(id);
  }
}

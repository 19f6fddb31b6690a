// Which guests have been asked to shut down and are not off yet. Owns that memory only; after a restart of the agent a
// guest is simply asked again. A guest that still boots does not hear the button, so it is pressed again after a while.
import type { InstanceId } from '@virga/contract/ids';

const pressAgainAfterMs = 5_000;

export class ShutdownRequests {
  private readonly requests = new Map<InstanceId, { pressedAtMs: number; forceAtMs: number }>();

  isPending(id: InstanceId): boolean {
    return this.requests.has(id);
  }

  isDue(id: InstanceId, nowMs: number): boolean {
    const request = this.requests.get(id);
    return request === undefined || nowMs - request.pressedAtMs >= pressAgainAfterMs;
  }

  remember(id: InstanceId, nowMs: number, forceAtMs: number): void {
    this.requests.set(id, { pressedAtMs: nowMs, forceAtMs });
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

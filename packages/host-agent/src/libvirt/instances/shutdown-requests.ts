// Which guests have been asked to shut down and are not off yet. Owns that memory only; after a restart of the agent a
// guest is simply asked again. A guest that still boots does not hear the button, so it is pressed again after a while.
import type { InstanceId } from '@virga/contract/ids';

const pressAgainAfterMs = 5_000;

export class ShutdownRequests {
  private readonly pressedAtMs = new Map<InstanceId, number>();

  isPending(id: InstanceId): boolean {
    return this.pressedAtMs.has(id);
  }

  isDue(id: InstanceId, nowMs: number): boolean {
    const pressedAtMs = this.pressedAtMs.get(id);
    return pressedAtMs === undefined || nowMs - pressedAtMs >= pressAgainAfterMs;
  }

  remember(id: InstanceId, nowMs: number): void {
    this.pressedAtMs.set(id, nowMs);
  }

  forget(id: InstanceId): void {
    this.pressedAtMs.delete(id);
  }
}
